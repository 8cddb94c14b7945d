#include "mcp/schema_check.h"

#include <algorithm>
#include <cmath>
#include <re2/re2.h>

#include "mcp/json_edit.h"
#include "mcp/schema_ref.h"
#include "policy/decimal.h"

namespace sallyport::mcp {
namespace {

using Verdict = SchemaCheck::Verdict;
using Kind = Verdict::Kind;
using json::Value;
using policy::Decimal;

constexpr size_t kMaxDepth = 128;
constexpr size_t kMaxPatterns = 256;
constexpr size_t kMaxPatternBytes = 1024;

size_t CodePoints(std::string_view utf8) {
  return static_cast<size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

bool IsInteger(Value number) {
  if (number.integer()) return true;
  const auto d = number.number();
  return d && std::isfinite(*d) && std::trunc(*d) == *d;
}

bool IsType(Value value, std::string_view name) {
  switch (value.kind()) {
    case json::Kind::null:
      return name == "null";
    case json::Kind::boolean:
      return name == "boolean";
    case json::Kind::string:
      return name == "string";
    case json::Kind::array:
      return name == "array";
    case json::Kind::object:
      return name == "object";
    case json::Kind::number:
      return name == "number" || (name == "integer" && IsInteger(value));
    case json::Kind::missing:
      return false;
  }
  return false;
}

bool Same(Value a, Value b) {
  if (a.kind() != b.kind()) return false;
  if (a.is(json::Kind::number)) {
    const auto x = Decimal::Parse(a.raw()), y = Decimal::Parse(b.raw());
    return x && y && *x == *y;
  }
  return Canonical(a) == Canonical(b);
}

}  // namespace

/// One check: the rows of keywords, each with the verdict that it gives.
class SchemaWalk {
 public:
  SchemaWalk(const SchemaCheck& check, const std::set<std::string>& changed, size_t& steps)
      : check_(check), changed_(changed), steps_(steps) {}

  Verdict Apply(Value schema, Value value, const std::string& at, size_t depth) {
    if (steps_ == 0 || depth > kMaxDepth) return Unknown(at);
    --steps_;
    if (const auto flag = schema.boolean()) return *flag ? Verdict{} : Differs(at);
    if (!schema.is(json::Kind::object)) return {};
    Verdict all;
    const auto keep = [&](Verdict one) {
      if (all.kind == Kind::differs || one.kind == Kind::fits) return;
      if (one.kind == Kind::differs || all.kind == Kind::fits) all = std::move(one);
    };
    keep(Type(schema, value, at));
    keep(Combined(schema, value, at, depth));
    if (value.is(json::Kind::string)) keep(String(schema, *value.string(), at));
    if (value.is(json::Kind::number)) keep(Number(schema, value, at));
    if (value.is(json::Kind::array)) keep(Array(schema, value, at, depth));
    if (value.is(json::Kind::object)) keep(Object(schema, value, at, depth));
    return all;
  }

 private:
  static Verdict Differs(const std::string& at) { return {Kind::differs, at}; }
  static Verdict Unknown(const std::string& at) { return {Kind::unknown, at}; }
  /// Of what cannot be told: nothing, if the server itself wrote the value.
  Verdict Doubt(const std::string& at) const {
    const auto next = changed_.lower_bound(at);
    const bool touched = next != changed_.end() && next->starts_with(at);
    return touched ? Unknown(at) : Verdict{};
  }

  Verdict Type(Value schema, Value value, const std::string& at) const {
    if (const Value type = schema["type"]) {
      bool any = IsType(value, type.string().value_or(""));
      for (Value v = type.first(); v; v = v.next()) any |= IsType(value, v.string().value_or(""));
      if (!any) return Differs(at);
    }
    if (const Value constant = schema["const"]; constant && !Same(constant, value))
      return Differs(at);
    if (const Value list = schema["enum"]; list.is(json::Kind::array)) {
      for (Value v = list.first(); v; v = v.next()) {
        if (Same(v, value)) return {};
      }
      return Differs(at);
    }
    return {};
  }

  Verdict String(Value schema, std::string_view text, const std::string& at) const {
    const auto length = static_cast<int64_t>(CodePoints(text));
    if (const auto limit = schema["maxLength"].number(); limit && double(length) > *limit)
      return Differs(at);
    if (const auto limit = schema["minLength"].number(); limit && double(length) < *limit)
      return Differs(at);
    if (const auto pattern = schema["pattern"].string()) {
      const auto matches = Matches(*pattern, text);
      if (!matches) return Doubt(at);
      if (!*matches) return Differs(at);
    }
    return schema["format"] ? Doubt(at) : Verdict{};
  }

  std::optional<bool> Matches(std::string_view pattern, std::string_view text) const {
    const auto compiled = check_.patterns_.find(pattern);
    if (compiled == check_.patterns_.end() || !compiled->second) return std::nullopt;
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *compiled->second);
  }

  Verdict Number(Value schema, Value value, const std::string& at) const {
    const auto number = Decimal::Parse(value.raw());
    const auto bound = [&](std::string_view key, auto keeps) {
      const Value limit = schema[key];
      if (!limit.is(json::Kind::number)) return true;
      const auto decimal = Decimal::Parse(limit.raw());
      return number && decimal && keeps(*number <=> *decimal);
    };
    if (!bound("maximum", [](auto order) { return order <= 0; }) ||
        !bound("minimum", [](auto order) { return order >= 0; }) ||
        !bound("exclusiveMaximum", [](auto order) { return order < 0; }) ||
        !bound("exclusiveMinimum", [](auto order) { return order > 0; })) {
      return Differs(at);
    }
    const Value step = schema["multipleOf"];
    if (!step) return {};
    const auto whole = value.integer(), by = step.integer();
    if (!whole || !by || *by <= 0) return Doubt(at);
    return *whole % *by == 0 ? Verdict{} : Differs(at);
  }

  Verdict Combined(Value schema, Value value, const std::string& at, size_t depth) {
    Verdict all;
    const auto keep = [&](Verdict one) {
      if (all.kind == Kind::differs || one.kind == Kind::fits) return;
      if (one.kind == Kind::differs || all.kind == Kind::fits) all = std::move(one);
    };
    if (const auto ref = schema["$ref"].string()) {
      const Value target = ResolveSchemaRef(check_.document_.root(), *ref);
      keep(target ? Apply(target, value, at, depth + 1) : Doubt(at));
    }
    if (schema["$dynamicRef"]) keep(Doubt(at));
    for (Value v = schema["allOf"].first(); v; v = v.next()) keep(Apply(v, value, at, depth + 1));
    for (const std::string_view key : {"anyOf", "oneOf"}) {
      if (schema[key].is(json::Kind::array))
        keep(Alternatives(schema[key], key == "oneOf", value, at, depth));
    }
    if (const Value other = schema["not"]) {
      const Kind kind = Apply(other, value, at, depth + 1).kind;
      if (kind != Kind::differs) keep(kind == Kind::fits ? Differs(at) : Unknown(at));
    }
    if (const Value condition = schema["if"]) {
      const Kind kind = Apply(condition, value, at, depth + 1).kind;
      const Value then = schema[kind == Kind::fits ? "then" : "else"];
      if (kind == Kind::unknown)
        keep(Unknown(at));
      else if (then)
        keep(Apply(then, value, at, depth + 1));
    }
    return all;
  }

  Verdict Alternatives(Value list, bool exactly_one, Value value, const std::string& at,
                       size_t depth) {
    size_t fits = 0, unknown = 0;
    for (Value v = list.first(); v; v = v.next()) {
      const Kind kind = Apply(v, value, at, depth + 1).kind;
      fits += kind == Kind::fits;
      unknown += kind == Kind::unknown;
      if (fits == 1 && !exactly_one) return {};
    }
    if (fits > 1 || (fits == 0 && unknown == 0)) return Differs(at);
    return unknown == 0 ? Verdict{} : Unknown(at);
  }

  Verdict Array(Value schema, Value value, const std::string& at, size_t depth) {
    // Draft 7 has the list in `items` and what follows in `additionalItems`.
    const bool old = schema["items"].is(json::Kind::array);
    const Value listed = schema[old ? "items" : "prefixItems"];
    const Value rest = schema[old ? "additionalItems" : "items"];
    const Value contains = schema["contains"];
    Value own = listed.first();
    size_t index = 0;
    int64_t found = 0;
    std::set<std::string> seen;
    const bool unique = schema["uniqueItems"].boolean().value_or(false);
    for (Value v = value.first(); v; v = v.next(), ++index) {
      const std::string place = at + '/' + std::to_string(index);
      const Value item = own ? own : rest;
      if (own) own = own.next();
      if (item) {
        Verdict one = Apply(item, v, place, depth + 1);
        if (one.kind != Kind::fits) return one;
      }
      if (unique && !seen.insert(Canonical(v)).second) return Differs(at);
      if (contains) {
        const Kind kind = Apply(contains, v, place, depth + 1).kind;
        if (kind == Kind::unknown) return Unknown(at);
        found += kind == Kind::fits;
      }
    }
    if (contains && (found < schema["minContains"].integer().value_or(1) ||
                     found > schema["maxContains"].integer().value_or(INT64_MAX))) {
      return Differs(at);
    }
    return schema["unevaluatedItems"].is(json::Kind::object) ? Doubt(at) : Verdict{};
  }

  Verdict Object(Value schema, Value value, const std::string& at, size_t depth) {
    for (Value v = schema["required"].first(); v; v = v.next()) {
      if (!value[v.string().value_or("")]) return Differs(at);
    }
    for (const std::string_view key : {"dependentSchemas", "dependencies"}) {
      for (Value v = schema[key].first(); v; v = v.next()) {
        if (!value[v.key()] || v.is(json::Kind::array)) continue;
        Verdict one = Apply(v, value, at, depth + 1);
        if (one.kind != Kind::fits) return one;
      }
    }
    for (Value v = value.first(); v; v = v.next()) {
      Verdict one = Member(schema, v, at, Pointer(at, v.key()), depth);
      if (one.kind != Kind::fits) return one;
    }
    const Value rest = schema["unevaluatedProperties"];
    return rest && rest.boolean() != true ? Doubt(at) : Verdict{};
  }

  Verdict Member(Value schema, Value member, const std::string& at, const std::string& place,
                 size_t depth) {
    bool named = false;
    Verdict all;
    const auto apply = [&](Value sub) {
      if (all.kind == Kind::fits) all = Apply(sub, member, place, depth + 1);
    };
    if (const Value own = schema["properties"][member.key()]) named = true, apply(own);
    for (Value v = schema["patternProperties"].first(); v; v = v.next()) {
      const auto matches = Matches(v.key(), member.key());
      if (!matches) return Doubt(at);
      if (*matches) named = true, apply(v);
    }
    if (const Value rest = schema["additionalProperties"]; rest && !named) apply(rest);
    if (schema["propertyNames"] && all.kind == Kind::fits) {
      const std::string key = json::Quote(member.key());
      const auto doc = json::Document::Parse(key);
      if (!doc) return Unknown(at);
      if (Apply(schema["propertyNames"], doc->root(), at, depth + 1).kind != Kind::fits)
        return Differs(at);
    }
    return all;
  }

  const SchemaCheck& check_;
  const std::set<std::string>& changed_;
  size_t& steps_;
};

SchemaCheck::SchemaCheck(std::string schema) : text_(std::move(schema)) {
  auto document = json::Document::Parse(text_);
  if (!document) document = json::Document::Parse("false");  // which nothing keeps to
  document_ = std::move(*document);
  CompilePatterns(document_.root());
}

SchemaCheck::~SchemaCheck() = default;

void SchemaCheck::CompilePatterns(json::Value schema) {
  const auto compile = [&](std::string_view pattern) {
    if (patterns_.size() >= kMaxPatterns || pattern.size() > kMaxPatternBytes) return;
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 18);
    auto compiled =
        std::make_unique<re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
    if (compiled->ok()) patterns_.emplace(pattern, std::move(compiled));
  };
  for (json::Value v = schema.first(); v; v = v.next()) {
    if (v.key() == "pattern" && v.is(json::Kind::string)) compile(*v.string());
    if (v.key() == "patternProperties") {
      for (json::Value p = v.first(); p; p = p.next()) compile(p.key());
    }
    CompilePatterns(v);
  }
}

SchemaCheck::Verdict SchemaCheck::Check(json::Value instance, const std::set<std::string>& changed,
                                        size_t& steps) const {
  return SchemaWalk(*this, changed, steps).Apply(document_.root(), instance, "", 0);
}

}  // namespace sallyport::mcp
