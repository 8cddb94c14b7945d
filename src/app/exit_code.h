#pragma once

namespace sallyport::app {

/// What the process says to the script that called it. Fixed: scripts depend on them.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNegative = 3,  // denied, tampered, test failed
  kUnreachable = 4,
  kBadConfig = 78,  // EX_CONFIG of sysexits.h
};

}  // namespace sallyport::app
