#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::config {

enum class Severity : uint8_t { warning, error };

/// One thing wrong with a file, where it stands, and what to write instead. Lines and columns count
/// from 1; 0 means the file as a whole. `code` is stable and listed in docs/configuration.md. No
/// text holds the value of a secret.
struct Problem {
  std::string file;
  int line = 0, column = 0;
  std::string_view code;  // "CFG-UNKNOWN-KEY"; static lifetime
  Severity severity = Severity::error;
  std::string message;
  std::string hint;
};

inline constexpr std::string_view kCfgFile = "CFG-FILE";           // cannot be read
inline constexpr std::string_view kCfgSyntax = "CFG-SYNTAX";       // not YAML, not UTF-8
inline constexpr std::string_view kCfgTooLarge = "CFG-TOO-LARGE";  // bytes, depth or nodes
inline constexpr std::string_view kCfgAlias = "CFG-ALIAS";         // *alias, <<
inline constexpr std::string_view kCfgVersion = "CFG-VERSION";
inline constexpr std::string_view kCfgUnknownKey = "CFG-UNKNOWN-KEY";
inline constexpr std::string_view kCfgDuplicateKey = "CFG-DUPLICATE-KEY";
inline constexpr std::string_view kCfgMissingKey = "CFG-MISSING-KEY";
inline constexpr std::string_view kCfgWrongType = "CFG-WRONG-TYPE";
inline constexpr std::string_view kCfgBadValue = "CFG-BAD-VALUE";
inline constexpr std::string_view kCfgInlineSecret = "CFG-INLINE-SECRET";
inline constexpr std::string_view kCfgUnknownName =
    "CFG-UNKNOWN-NAME";  // refers to what is not there
inline constexpr std::string_view kCfgDuplicateName = "CFG-DUPLICATE-NAME";
inline constexpr std::string_view kCfgConflict =
    "CFG-CONFLICT";  // two keys that exclude each other
inline constexpr std::string_view kCfgInsecure = "CFG-INSECURE";   // plain text beyond loopback
inline constexpr std::string_view kCfgRule = "CFG-RULE";           // a rule that cannot be meant
inline constexpr std::string_view kCfgNoEffect = "CFG-NO-EFFECT";  // warning: can never apply
inline constexpr std::string_view kCfgSecretMissing =
    "CFG-SECRET-MISSING";  // warning: fails at start

bool HasErrors(const std::vector<Problem>& problems);

/// One line each, `file:line:column: error CODE: message; hint`, in the order of the file.
std::string RenderText(const std::vector<Problem>& problems);

/// {"v":1,"valid":…,"errors":n,"warnings":n,"problems":[{"file","line","column","code","severity","message",
/// "hint"}],"notes":[…]}, one line.
std::string RenderJson(const std::vector<Problem>& problems, const std::vector<std::string>& notes);

}  // namespace sallyport::config
