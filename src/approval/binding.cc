#include "approval/binding.h"

#include <algorithm>
#include <openssl/evp.h>
#include <vector>

#include "base/bytes.h"
#include "json/document.h"

namespace sallyport::approval {
namespace {

void AppendCanonical(std::string& out, const json::Value& value) {
  if (value.is(json::Kind::array)) {
    out += '[';
    for (json::Value v = value.first(); v; v = v.next()) {
      if (out.back() != '[') out += ',';
      AppendCanonical(out, v);
    }
    out += ']';
  } else if (value.is(json::Kind::object)) {
    std::vector<json::Value> members;
    members.reserve(value.size());
    for (json::Value v = value.first(); v; v = v.next()) members.push_back(v);
    std::ranges::sort(members, {}, &json::Value::key);
    out += '{';
    for (const json::Value& v : members) {
      if (out.back() != '{') out += ',';
      out.append(v.raw_key()) += ':';
      AppendCanonical(out, v);
    }
    out += '}';
  } else {
    out += value.raw();
  }
}

/// Text as a JSON string where it is one, else as base64 under another name.
void AppendBytes(std::string& out, std::string_view name, std::string_view bytes) {
  const bool text = FirstBadByte(bytes) == std::string_view::npos;
  out.append("\"").append(name).append(text ? "\":" : "_base64\":");
  json::AppendString(out, text ? std::string(bytes) : Base64Encode(AsBytes(bytes)));
}

void AppendParameters(std::string& out, const op::ExactSql& exact) {
  out += R"(,"params":[)";
  for (size_t i = 0; i < exact.values.size(); ++i) {
    if (i > 0) out += ',';
    const int16_t format = exact.formats.empty()       ? int16_t{0}
                           : exact.formats.size() == 1 ? exact.formats[0]
                           : i < exact.formats.size()  ? exact.formats[i]
                                                       : int16_t{0};
    out += R"({"type":)" + std::to_string(i < exact.types.size() ? exact.types[i] : 0) +
           R"(,"format":)" + std::to_string(format) + ',';
    if (exact.nulls != nullptr && i < exact.nulls->size() && (*exact.nulls)[i]) {
      out += R"("value":null)";
    } else {
      AppendBytes(out, "value", exact.values[i]);
    }
    out += '}';
  }
  out += ']';
}

/// Which values are asked for in clear: another operation than the same without.
void AppendUnmask(std::string& out, const op::Operation& operation) {
  if (operation.unmask == nullptr) return;
  if (out.size() > 1) out += ',';
  out += R"("unmask":[)";
  for (const std::string& name : operation.unmask->detectors) {
    if (out.back() != '[') out += ',';
    json::AppendString(out, name);
  }
  out += ']';
}

/// One JSON object, members in the order in which they are added.
class Object {
 public:
  Object& Text(std::string_view name, std::string_view value) {
    json::AppendString(Key(name), value);
    return *this;
  }
  Object& Number(std::string_view name, uint64_t value) {
    Key(name) += std::to_string(value);
    return *this;
  }
  Object& Texts(std::string_view name, const std::vector<std::string>& values) {
    std::string& out = Key(name);
    out += '[';
    for (const std::string& v : values) {
      if (out.back() != '[') out += ',';
      json::AppendString(out, v);
    }
    out += ']';
    return *this;
  }
  std::string Take() { return std::move(out_) + '}'; }

 private:
  std::string& Key(std::string_view name) {
    if (out_.size() > 1) out_ += ',';
    json::AppendString(out_, name);
    return out_ += ':';
  }
  std::string out_ = "{";
};

}  // namespace

std::string ExactOf(const op::Operation& operation) {
  std::string out = "{";
  if (operation.verb == op::Verb::sql) {
    AppendBytes(out, "sql", operation.exact_sql.text);
    if (!operation.exact_sql.context.empty()) {
      out += ',';
      AppendBytes(out, "names", operation.exact_sql.context);
    }
    if (!operation.exact_sql.values.empty()) AppendParameters(out, operation.exact_sql);
    AppendUnmask(out, operation);
    return out += '}';
  }
  if (operation.arguments) {
    out += R"("arguments":)";
    AppendCanonical(out, operation.arguments);
  }
  if (operation.exact_answers) {
    if (out.size() > 1) out += ',';
    out += R"("inputResponses":)";
    AppendCanonical(out, operation.exact_answers);
  }
  AppendUnmask(out, operation);
  return out += '}';
}

std::string_view KindName(op::Verb verb) {
  switch (verb) {
    case op::Verb::protocol:
      return "protocol";
    case op::Verb::list:
      return "list";
    case op::Verb::tool_call:
      return "tool";
    case op::Verb::prompt_get:
      return "prompt";
    case op::Verb::resource_read:
    case op::Verb::resource_subscribe:
      return "resource";
    case op::Verb::completion:
      return "completion";
    case op::Verb::sql:
      return "sql";
  }
  return "protocol";
}

std::string_view EffectName(op::Effect effect) {
  switch (effect) {
    case op::Effect::none:
      return "none";
    case op::Effect::read:
      return "read";
    case op::Effect::call:
      return "call";
    case op::Effect::write:
      return "write";
    case op::Effect::ddl:
      return "ddl";
    case op::Effect::admin:
      return "admin";
  }
  return "admin";
}

std::string Binding(const Request& r) {
  Object object;
  object.Number("v", 1).Text("id", r.id);
  object.Text("issuer", r.requester.issuer).Text("subject", r.requester.subject);
  object.Text("agent", r.requester.agent);
  object.Text("connection", r.connection).Text("target", r.target).Text("kind", KindName(r.verb));
  object.Text("resource", r.resource).Text("arguments", r.arguments);
  object.Text("policy", r.policy_version).Text("flow", r.flow).Number("need", r.need);
  object.Texts("approvers", r.approvers).Number("expires", uint64_t(r.expires));
  if (r.unmask) {
    object.Texts("unmask", r.unmask->detectors).Number("max_values", r.unmask->max_values);
    object.Number("unmask_ttl", uint64_t(r.unmask->ttl));
  }
  return object.Take();
}

std::string DigestOf(const Request& request) {
  const std::string binding = Binding(request);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(binding.data(), binding.size(), digest, &size, EVP_sha256(), nullptr);
  return HexEncode(ByteView(digest, size));
}

}  // namespace sallyport::approval
