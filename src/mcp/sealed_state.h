#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::mcp {

/// Handles that travel through the client and come back (requestState, task ids): AES-256-GCM under
/// a key of the gateway, so a client can neither read nor change one, nor use it elsewhere than
/// where it was made for. Any gateway with the same state directory opens them. Thread-safe.
class SealedState {
 public:
  /// Reads the key from `<state_dir>/mcp-state.key` (32 bytes, mode 0600) or makes one. io_failed,
  /// config_invalid (wrong size, or readable by others).
  static Result<std::unique_ptr<SealedState>> Make(const std::filesystem::path& state_dir);
  ~SealedState();
  SealedState(const SealedState&) = delete;

  /// URL-safe base64. `binding` says who may use it for what; it is authenticated, not contained.
  std::string Seal(std::string_view binding, std::string_view text, Nanos expires) const;
  /// The text, if it was sealed here for the same binding and has not expired.
  std::optional<std::string> Open(std::string_view binding, std::string_view sealed,
                                  Nanos now) const;

 private:
  SealedState() = default;
  std::array<uint8_t, 32> key_{};
};

}  // namespace sallyport::mcp
