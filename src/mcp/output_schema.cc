#include "mcp/output_schema.h"

#include <map>

#include "mcp/json_edit.h"
#include "mcp/schema_ref.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxDepth = 24;
constexpr size_t kMaxPlaces = 512;
constexpr size_t kMaxSteps = 20'000;  // references may multiply

struct Allowed {
  bool any = false, string = false, null = false, number = false;
};

class Walk {
 public:
  explicit Walk(json::Value root) : root_(root) {}

  void Schema(json::Value schema, const std::string& pointer, size_t depth) {
    if (depth > kMaxDepth || places.size() > kMaxPlaces || ++steps_ > kMaxSteps) return;
    if (!schema.is(json::Kind::object)) {
      places[pointer].any = true;  // `true`, or nothing said
      return;
    }
    if (const auto ref = schema["$ref"].string()) {
      const json::Value target = ResolveSchemaRef(root_, *ref);
      if (target) Schema(target, pointer, depth + 1);
    }
    Types(schema, places[pointer]);
    for (const std::string_view key : {"anyOf", "oneOf", "allOf"}) {
      for (json::Value v = schema[key].first(); v; v = v.next()) Schema(v, pointer, depth + 1);
    }
    for (const std::string_view key : {"then", "else"}) {
      if (schema[key]) Schema(schema[key], pointer, depth + 1);
    }
    for (json::Value p = schema["properties"].first(); p; p = p.next()) {
      Schema(p, Pointer(pointer, p.key()), depth + 1);
    }
    size_t index = 0;
    for (json::Value p = schema["prefixItems"].first(); p; p = p.next()) {
      Schema(p, pointer + "/" + std::to_string(index++), depth + 1);
    }
    if (schema["items"].is(json::Kind::object)) Schema(schema["items"], pointer + "/*", depth + 1);
    for (const std::string_view key : {"additionalProperties", "unevaluatedProperties"}) {
      if (schema[key].is(json::Kind::object)) Schema(schema[key], pointer + "/*", depth + 1);
    }
    for (json::Value p = schema["patternProperties"].first(); p; p = p.next())
      Schema(p, pointer + "/*", depth + 1);
  }

  std::map<std::string, Allowed> places;

 private:
  static void Type(std::string_view name, Allowed& allowed) {
    if (name == "string")
      allowed.string = true;
    else if (name == "null")
      allowed.null = true;
    else if (name == "integer" || name == "number")
      allowed.number = true;
  }

  static void Types(json::Value schema, Allowed& allowed) {
    const json::Value type = schema["type"];
    if (const auto name = type.string())
      Type(*name, allowed);
    else if (type.is(json::Kind::array)) {
      for (json::Value v = type.first(); v; v = v.next()) Type(v.string().value_or(""), allowed);
    } else if (!schema["$ref"] && !schema["anyOf"] && !schema["oneOf"] && !schema["allOf"]) {
      allowed.any = true;
    }
  }

  json::Value root_;
  size_t steps_ = 0;
};

}  // namespace

json::Value ResolveSchemaRef(json::Value root, std::string_view ref) {
  if (ref == "#") return root;
  if (!ref.starts_with("#/")) return {};
  json::Value v = root;
  ref.remove_prefix(1);
  while (v && !ref.empty()) {
    const size_t end = ref.find('/', 1);
    std::string key;
    for (size_t i = 1; i < std::min(end, ref.size()); ++i) {
      if (ref[i] == '~' && i + 1 < ref.size())
        key += ref[++i] == '1' ? '/' : '~';
      else
        key += ref[i];
    }
    v = v[key];
    ref = end == std::string_view::npos ? std::string_view() : ref.substr(end);
  }
  return v;
}

void ReadOutputSchema(json::Value schema, std::string_view base,
                      std::vector<std::pair<std::string, mask::NumberPolicy>>& numbers) {
  Walk walk(schema);
  walk.Schema(schema, std::string(base), 0);
  // Exact places before those with `*`: the first rule that matches wins.
  for (const bool wild : {false, true}) {
    for (const auto& [pointer, allowed] : walk.places) {
      if ((pointer.find("/*") != std::string::npos) != wild) continue;
      if (allowed.null)
        numbers.emplace_back(pointer, mask::NumberPolicy::null);
      else if (allowed.any || allowed.string)
        numbers.emplace_back(pointer, mask::NumberPolicy::string);
      else if (allowed.number)
        numbers.emplace_back(pointer, mask::NumberPolicy::surrogate);
    }
  }
}

}  // namespace sallyport::mcp
