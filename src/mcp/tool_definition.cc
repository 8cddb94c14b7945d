#include "mcp/tool_definition.h"

#include <algorithm>
#include <openssl/sha.h>

#include "base/bytes.h"
#include "mcp/json_edit.h"
#include "mcp/output_schema.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kAnnotation = "x-mcp-header";

bool IsToken(std::string_view text) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOther.find(c) != std::string_view::npos;
  });
}

bool SameLetters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

/// Looks for annotations in a schema. `reachable`: the way here led through `properties` only.
class HeaderWalk {
 public:
  explicit HeaderWalk(ToolDefinition& tool) : tool_(tool) {}

  void Schema(json::Value schema, bool reachable) {
    if (!schema.is(json::Kind::object)) return;
    for (json::Value v = schema.first(); v; v = v.next()) {
      if (v.key() == kAnnotation)
        Annotation(schema, v, reachable && !path_.empty());
      else if (v.key() == "properties" && v.is(json::Kind::object))
        Properties(v, reachable);
      else if (v.key() != "const" && v.key() != "enum" && v.key() != "default" &&
               v.key() != "examples")
        Other(v);
    }
  }

 private:
  void Properties(json::Value properties, bool reachable) {
    for (json::Value p = properties.first(); p; p = p.next()) {
      path_.emplace_back(p.key());
      Schema(p, reachable);
      path_.pop_back();
    }
  }

  void Other(
      json::Value value) {  // composition, items, definitions: an annotation there is invalid
    Schema(value, false);
    if (value.is(json::Kind::array)) {
      for (json::Value v = value.first(); v; v = v.next()) Schema(v, false);
    }
  }

  void Annotation(json::Value schema, json::Value v, bool reachable) {
    const auto fault = [&](std::string_view what) {
      if (tool_.header_fault.empty()) tool_.header_fault = what;
    };
    const auto name = v.string();
    if (!name || !IsToken(*name)) return fault("x-mcp-header is no field name");
    if (!reachable) return fault("x-mcp-header is not reachable by properties alone");
    const auto type = schema["type"].string();
    if (type != "string" && type != "integer" && type != "boolean") {
      return fault("x-mcp-header stands at a parameter that is no string, integer or boolean");
    }
    for (const HeaderParam& other : tool_.headers) {
      if (SameLetters(other.header, *name)) return fault("x-mcp-header occurs twice");
    }
    tool_.headers.push_back({std::string(*name), path_});
  }

  ToolDefinition& tool_;
  std::vector<std::string> path_;
};

bool AnyInvisible(json::Value value) {
  if (value.is(json::Kind::string)) return HasInvisible(*value.string());
  for (json::Value v = value.first(); v; v = v.next()) {
    if (HasInvisible(v.key()) || AnyInvisible(v)) return true;
  }
  return false;
}

bool IsInvisible(uint32_t c) {
  if (c == '\n' || c == '\r' || c == '\t') return false;
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || c == 0x180e ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xe0000 && c <= 0xe0fff) ||
         (c >= 0xfff9 && c <= 0xfffb);
}

}  // namespace

std::string TextDigest(std::string_view text) {
  uint8_t hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), hash);
  return HexEncode(hash);
}

bool HasInvisible(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    const auto lead = static_cast<uint8_t>(s[i]);
    const size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t c = n == 1 ? lead : lead & (0xffu >> (n + 1));
    for (size_t k = 1; k < n && i + k < s.size(); ++k)
      c = c << 6 | (static_cast<uint8_t>(s[i + k]) & 0x3f);
    if (IsInvisible(c)) return true;
    i += n;
  }
  return false;
}

ToolDefinition ReadToolDefinition(json::Value tool) {
  ToolDefinition t;
  t.name = tool["name"].string().value_or("");
  const std::string canonical = Canonical(tool);
  t.digest = TextDigest(canonical);
  std::string nameless;
  {
    JsonEdit edit(tool.raw());
    const auto alone = json::Document::Parse(tool.raw());
    if (alone && alone->root()["name"]) {
      edit.Replace(alone->root()["name"], "null");
      const std::string text = edit.Apply();
      const auto doc = json::Document::Parse(text);
      if (doc) nameless = Canonical(doc->root());
    }
  }
  t.body_digest = TextDigest(nameless);
  HeaderWalk(t).Schema(tool["inputSchema"], true);
  t.poisoned = AnyInvisible(tool);
  t.destructive = tool["annotations"]["destructiveHint"].boolean().value_or(false);
  if (const json::Value schema = tool["outputSchema"]) {
    t.has_output_schema = true;
    ReadOutputSchema(schema, "/structuredContent", t.numbers);
    t.schema = std::make_shared<const SchemaCheck>(std::string(schema.raw()));
  }
  return t;
}

bool PointerMatches(std::string_view pattern, std::string_view pointer) {
  while (!pattern.empty() && !pointer.empty()) {
    const size_t a = pattern.find('/', 1);
    const size_t b = pointer.find('/', 1);
    const std::string_view want = pattern.substr(0, a);
    if (want != "/*" && want != pointer.substr(0, b)) return false;
    pattern = a == std::string_view::npos ? std::string_view() : pattern.substr(a);
    pointer = b == std::string_view::npos ? std::string_view() : pointer.substr(b);
  }
  return pattern.empty() && pointer.empty();
}

}  // namespace sallyport::mcp
