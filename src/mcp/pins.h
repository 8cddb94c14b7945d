#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mcp/tool_definition.h"

namespace sallyport::mcp {

/// What is new about a tool list.
struct PinChange {
  enum class Kind : uint8_t { pinned, added, changed, renamed, poisoned };
  Kind kind = Kind::pinned;
  std::string tool;
  std::string before;  // renamed: the old name
};

std::string_view PinChangeName(PinChange::Kind kind);

/// The accepted tool definitions of one connection, in `<state_dir>/pins-<connection>.json`:
///   {"v":1,"tools":{NAME:{"digest","body"}},"waiting":{NAME:{"digest","body","why"}}}
/// The first list that a connection ever shows is accepted; what differs later waits until somebody
/// accepts it. Not thread-safe.
class Pins {
 public:
  Pins(const std::filesystem::path& state_dir, std::string_view connection);

  /// Compares a whole tool list with what is accepted. Appends what is new since the last time to
  /// `changes` and returns the names that may not be used. The file is written (atomically) when
  /// something changed; io_failed or config_invalid (a damaged file) leave everything unpinned, so
  /// nothing may be used.
  Result<std::vector<std::string>> Judge(const std::vector<const ToolDefinition*>& tools,
                                         std::vector<PinChange>& changes);

  /// Accepts the waiting definitions of these tools (all if empty) in the file; a running gateway
  /// sees it at its next look. Returns the names accepted.
  static Result<std::vector<std::string>> Accept(const std::filesystem::path& state_dir,
                                                 std::string_view connection,
                                                 const std::vector<std::string>& tools);

 private:
  struct Pin {
    std::string digest, body, why;
    bool operator==(const Pin&) const = default;
  };
  Result<> Load();
  Result<> Save() const;

  std::filesystem::path file_;
  bool known_ = false;  // the file exists
  std::filesystem::file_time_type read_at_{};
  std::map<std::string, Pin> accepted_, waiting_;
};

}  // namespace sallyport::mcp
