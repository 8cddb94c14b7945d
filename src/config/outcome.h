#pragma once

#include <string>

namespace sallyport::config {

/// What a command says: `out` is the answer, `err` what is wrong with the question. Exit codes are
/// those of the command line: 0 ok, 2 usage, 3 negative verdict, 78 bad configuration.
struct Outcome {
  int exit_code = 0;
  std::string out, err;
};

inline constexpr int kExitUsage = 2;
inline constexpr int kExitNegative = 3;
inline constexpr int kExitBadConfig = 78;

}  // namespace sallyport::config
