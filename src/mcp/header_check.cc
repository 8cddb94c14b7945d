#include "mcp/header_check.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/bytes.h"
#include "mcp/envelope.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kParamPrefix = "mcp-param-";
constexpr std::string_view kOpen = "=?base64?";
constexpr std::string_view kClose = "?=";

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::unexpected<Error> Mismatch(std::string what) {
  return Fail(Errc::header_mismatch, std::move(what));
}

std::optional<double> Number(std::string_view text) {
  double d = 0;
  const auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), d);
  if (e != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return d;
}

std::string FieldOf(const HeaderParam& param) { return "Mcp-Param-" + param.header; }

json::Value Mirrored(const HeaderParam& param, json::Value arguments) {
  for (const std::string& key : param.path) arguments = arguments[key];
  return arguments;
}

bool Agrees(std::string_view header, json::Value body) {
  if (const auto text = body.string()) return *text == header;
  if (const auto flag = body.boolean()) return header == (*flag ? "true" : "false");
  if (!body.is(json::Kind::number)) return false;
  if (header == body.raw()) return true;
  const auto a = Number(header), b = Number(body.raw());
  return a && b && *a == *b && std::abs(*a) < 9007199254740992.0;
}

}  // namespace

std::optional<std::string> DecodeHeaderValue(std::string_view value) {
  for (const char c : value) {
    if ((c < 0x20 && c != '\t') || c > 0x7e) return std::nullopt;
  }
  if (!value.starts_with(kOpen) || !value.ends_with(kClose) ||
      value.size() < kOpen.size() + kClose.size()) {
    return std::string(value);
  }
  value.remove_prefix(kOpen.size());
  value.remove_suffix(kClose.size());
  const auto bytes = Base64Decode(value);
  if (!bytes) return std::nullopt;
  return std::string(AsText(*bytes));
}

json::Value NameSource(const ClientMessage& m) {
  if (m.method == "tools/call" || m.method == "prompts/get") return m.params["name"];
  if (m.method == "resources/read") return m.params["uri"];
  if (m.method.starts_with("tasks/")) return m.params["taskId"];
  return {};
}

Result<> CheckStandardHeaders(const net::Headers& headers, const ClientMessage& message) {
  std::set<std::string> seen;
  for (const auto& [name, value] : headers.fields()) {
    std::string lower = Lower(name);
    const bool single = lower.starts_with("mcp-") || lower == "content-type";
    if (single && !seen.insert(std::move(lower)).second)
      return Mismatch("the field " + name + " occurs twice");
  }
  const auto method = headers.Find("Mcp-Method");
  if (!method) return Mismatch("the Mcp-Method field is missing");
  if (*method != message.method)
    return Mismatch("the Mcp-Method field does not match the body's method");
  const auto name = headers.Find("Mcp-Name");
  const json::Value source = NameSource(message);
  if (!source) {
    if (name && message.kind == ClientMessage::Kind::request &&
        !message.method.starts_with("tasks/")) {
      // A name where the method has none cannot be compared with anything.
      if (message.method == "tools/call" || message.method == "prompts/get" ||
          message.method == "resources/read") {
        return Mismatch("the Mcp-Name field names what the body does not");
      }
    }
    return {};
  }
  if (!name) return Mismatch("the Mcp-Name field is missing");
  const auto decoded = DecodeHeaderValue(*name);
  if (!decoded) return Mismatch("the Mcp-Name field cannot be read");
  if (source.string() != std::string_view(*decoded)) {
    return Mismatch("the Mcp-Name field does not match the body");
  }
  return {};
}

Result<> CheckParamHeaders(const net::Headers& headers, const ToolDefinition& tool,
                           json::Value arguments) {
  for (const HeaderParam& param : tool.headers) {
    const json::Value body = Mirrored(param, arguments);
    const std::string field = FieldOf(param);
    const auto header = headers.Find(field);
    if (!body || body.is(json::Kind::null)) {
      if (header) return Mismatch("the field " + field + " is there, but the parameter is not");
      continue;
    }
    if (!header) return Mismatch("the field " + field + " is missing");
    const auto decoded = DecodeHeaderValue(*header);
    if (!decoded) return Mismatch("the field " + field + " cannot be read");
    if (!Agrees(*decoded, body)) return Mismatch("the field " + field + " does not match the body");
  }
  return {};
}

std::vector<std::pair<std::string, std::string>> MirrorParams(const ToolDefinition& tool,
                                                              json::Value arguments) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const HeaderParam& param : tool.headers) {
    const json::Value body = Mirrored(param, arguments);
    if (const auto text = body.string()) {
      out.emplace_back(FieldOf(param), HeaderValue(*text));
    } else if (body.is(json::Kind::number) || body.is(json::Kind::boolean)) {
      out.emplace_back(FieldOf(param), std::string(body.raw()));
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> ParamHeaders(const net::Headers& headers) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, value] : headers.fields()) {
    if (Lower(name).starts_with(kParamPrefix)) out.emplace_back(name, value);
  }
  return out;
}

}  // namespace sallyport::mcp
