#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "json/document.h"

namespace re2 {
class RE2;
}

namespace sallyport::mcp {

/// A tool's outputSchema (JSON Schema 2020-12, and what draft 7 spells differently), to find out
/// whether an answer keeps to it after masking. It comes from an upstream that is not trusted:
/// references are followed inside the schema only, patterns are RE2, and steps and depth are
/// bounded, however the schema is written. Immutable, thread-safe.
class SchemaCheck {
 public:
  explicit SchemaCheck(std::string schema);
  ~SchemaCheck();

  struct Verdict {
    enum class Kind : uint8_t { fits, differs, unknown } kind = Kind::fits;
    std::string pointer;  // where in the instance it differs or cannot be told
  };
  /// `changed`: pointers of the values that the gateway has changed. A keyword that is not
  /// understood (`format`, a pattern that RE2 does not take) is `unknown` for these, and taken as
  /// kept for what the server wrote itself.
  /// `steps` is what may be spent, and gets less; at zero the rest is `unknown`.
  Verdict Check(json::Value instance, const std::set<std::string>& changed, size_t& steps) const;

 private:
  friend class SchemaWalk;
  void CompilePatterns(json::Value schema);

  std::string text_;
  json::Document document_;
  std::map<std::string, std::unique_ptr<re2::RE2>, std::less<>> patterns_;
};

}  // namespace sallyport::mcp
