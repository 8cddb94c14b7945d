#pragma once

#include <string>

#include "app/gate_client.h"

namespace sallyport::app {

/// review list|show|make|sign
struct ReviewOptions {
  GateOptions gate;
  std::string data_dir, config, date, note;
  uint64_t days = 31;
  bool json = false;
};
int RunReviewList(const ReviewOptions& options);
int RunReviewShow(const ReviewOptions& options);
int RunReviewMake(const ReviewOptions& options);
int RunReviewSign(const ReviewOptions& options);

}  // namespace sallyport::app
