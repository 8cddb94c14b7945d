#pragma once

#include <utility>

#include "mcp/front.h"

namespace sallyport::mcp {

struct Frontend::Impl {
  explicit Impl(FrontendOptions options) : front(std::move(options)) {}
  Front front;
};

}  // namespace sallyport::mcp
