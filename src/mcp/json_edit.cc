#include "mcp/json_edit.h"

#include <algorithm>

namespace sallyport::mcp {
namespace {

void AppendCanonical(std::string& out, json::Value value) {
  switch (value.kind()) {
    case json::Kind::missing:
      return;
    case json::Kind::string:
      json::AppendString(out, *value.string());
      return;
    case json::Kind::array: {
      out += '[';
      for (json::Value v = value.first(); v; v = v.next()) {
        if (out.back() != '[') out += ',';
        AppendCanonical(out, v);
      }
      out += ']';
      return;
    }
    case json::Kind::object: {
      std::vector<json::Value> members;
      for (json::Value v = value.first(); v; v = v.next()) members.push_back(v);
      std::ranges::sort(members, {}, &json::Value::key);
      out += '{';
      bool first = true;
      for (const json::Value& v : members) {
        if (!first) out += ',';
        first = false;
        json::AppendString(out, v.key());
        out += ':';
        AppendCanonical(out, v);
      }
      out += '}';
      return;
    }
    case json::Kind::null:
    case json::Kind::boolean:
    case json::Kind::number:
      out.append(value.raw());
      return;
  }
}

}  // namespace

void JsonEdit::Add(json::Value object, std::string_view name, std::string_view value) {
  const size_t at = object.offset() + object.raw().size() - 1;  // before the closing brace
  std::string member;
  bool comma = object.size() > 0;
  for (const Edit& e : edits_) comma |= e.begin == at && e.end == at;
  if (comma) member += ',';
  json::AppendString(member, name);
  member += ':';
  member.append(value);
  edits_.push_back({at, at, std::move(member)});
}

std::string JsonEdit::Apply() const {
  // Additions at one place keep their order.
  std::vector<const Edit*> order;
  order.reserve(edits_.size());
  for (const Edit& e : edits_) order.push_back(&e);
  std::ranges::sort(order, [](const Edit* a, const Edit* b) {
    return a->begin != b->begin ? a->begin < b->begin : a < b;
  });
  std::string out;
  out.reserve(text_.size() + 64);
  size_t at = 0;
  for (const Edit* e : order) {
    out.append(text_.substr(at, e->begin - at)).append(e->text);
    at = e->end;
  }
  out.append(text_.substr(at));
  return out;
}

void SetMember(JsonEdit& edit, json::Value object, std::string_view name, std::string_view value) {
  if (const json::Value there = object[name])
    edit.Replace(there, std::string(value));
  else
    edit.Add(object, name, value);
}

std::string Canonical(json::Value value) {
  std::string out;
  out.reserve(value.raw().size());
  AppendCanonical(out, value);
  return out;
}

std::string Pointer(std::string_view base, std::string_view key) {
  std::string out(base);
  out += '/';
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

}  // namespace sallyport::mcp
