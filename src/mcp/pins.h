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
  std::string tool;    // empty: the server's instructions
  std::string before;  // renamed: the old name
};

std::string_view PinChangeName(PinChange::Kind kind);

/// The accepted tool definitions and instructions of one connection, in
/// `<state_dir>/pins-<connection>.json`:
///   {"v":1,"tools":{NAME:{"digest","body"}},"waiting":{NAME:{"digest","body","why"}},
///    "instructions":{DIGEST:{"digest"}},"instructions_waiting":{DIGEST:{"digest","why"}}}
/// The first list that a connection ever shows is accepted, and the first instructions; what
/// differs later waits until somebody accepts it. A server may have several accepted instructions,
/// as one that says something else in each era. Not thread-safe.
class Pins {
 public:
  Pins(const std::filesystem::path& state_dir, std::string_view connection);

  /// Compares a whole tool list with what is accepted. Appends what is new since the last time to
  /// `changes` and returns the names that may not be used. The file is written (atomically) when
  /// something changed; io_failed or config_invalid (a damaged file) leave everything unpinned, so
  /// nothing may be used.
  Result<std::vector<std::string>> Judge(const std::vector<const ToolDefinition*>& tools,
                                         std::vector<PinChange>& changes);

  /// The same for the server's instructions: whether they may be shown.
  Result<bool> JudgeInstructions(std::string_view text, std::vector<PinChange>& changes);

  /// Accepts the waiting definitions of these tools (all, and instructions, if empty) in the file;
  /// a running gateway sees it at its next look. Returns the names accepted.
  static Result<std::vector<std::string>> Accept(const std::filesystem::path& state_dir,
                                                 std::string_view connection,
                                                 const std::vector<std::string>& tools);

 private:
  struct Pin {
    std::string digest, body, why;
    bool operator==(const Pin&) const = default;
  };
  Result<> Load();
  Result<> Save();

  std::filesystem::path file_;
  bool known_ = false;        // the file exists
  bool tools_known_ = false;  // it has a list of tools
  std::filesystem::file_time_type read_at_{};
  std::map<std::string, Pin> accepted_, waiting_;
  std::map<std::string, Pin> instructions_, instructions_waiting_;  // by digest
};

}  // namespace sallyport::mcp
