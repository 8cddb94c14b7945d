#include "mcp/envelope.h"

#include <charconv>

#include "base/bytes.h"
#include "json/document.h"
#include "mcp/member_scan.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kHead = R"({"jsonrpc":"2.0",)";
constexpr std::string_view kSentinel = "=?base64?";

void AppendNumber(std::string& out, uint64_t n) {
  char digits[20];
  const auto [end, e] = std::to_chars(digits, digits + sizeof(digits), n);
  out.append(digits, end);
}

void AppendTail(std::string& out, std::string_view method, std::string_view params) {
  out += R"("method":)";
  json::AppendString(out, method);
  if (!params.empty()) out.append(R"(,"params":)").append(params);
  out += '}';
}

bool IsId(std::string_view raw) {
  if (raw.empty()) return false;
  if (raw.front() == '"') return true;
  size_t i = raw.front() == '-' ? 1 : 0;
  if (i == raw.size()) return false;
  for (; i < raw.size(); ++i) {
    if (raw[i] < '0' || raw[i] > '9') return false;
  }
  return true;
}

std::unexpected<Error> NotJsonRpc(std::string_view what) {
  return Fail(Errc::upstream_protocol, "not a JSON-RPC message: " + std::string(what));
}

}  // namespace

std::string RequestText(uint64_t id, std::string_view method, std::string_view params) {
  std::string out;
  out.reserve(kHead.size() + method.size() + params.size() + 64);
  out.append(kHead).append(R"("id":)");
  AppendNumber(out, id);
  out += ',';
  AppendTail(out, method, params);
  return out;
}

std::string NotificationText(std::string_view method, std::string_view params) {
  std::string out;
  out.reserve(kHead.size() + method.size() + params.size() + 32);
  out.append(kHead);
  AppendTail(out, method, params);
  return out;
}

std::string ResponseText(std::string_view raw_id, const UpstreamAnswer& answer) {
  std::string out;
  out.reserve(kHead.size() + raw_id.size() + answer.json.size() + 32);
  out.append(kHead).append(R"("id":)").append(raw_id);
  out.append(answer.error ? R"(,"error":)" : R"(,"result":)").append(answer.json) += '}';
  return out;
}

std::string ErrorText(int code, std::string_view message) {
  std::string out = R"({"code":)" + std::to_string(code) + R"(,"message":)";
  json::AppendString(out, message);
  return out += '}';
}

Result<UpstreamMessage> ReadMessage(std::string_view text) {
  std::string_view version, id, method, params, result, error;
  const auto once = [](std::string_view& slot, std::string_view value) {
    const bool fresh = slot.empty();
    slot = value;
    return fresh;
  };
  MemberScan scan(text);
  while (scan.Next()) {
    const std::string_view key = scan.key();
    bool fresh = true;
    if (key == "jsonrpc")
      fresh = once(version, scan.value());
    else if (key == "id")
      fresh = once(id, scan.value());
    else if (key == "method")
      fresh = once(method, scan.value());
    else if (key == "params")
      fresh = once(params, scan.value());
    else if (key == "result")
      fresh = once(result, scan.value());
    else if (key == "error")
      fresh = once(error, scan.value());
    if (!fresh) return NotJsonRpc("a repeated member");
  }
  if (!scan.ok()) return NotJsonRpc("no JSON object");
  if (version != R"("2.0")") return NotJsonRpc("version");
  const bool null_id = id == "null";
  if (!id.empty() && !null_id && !IsId(id)) return NotJsonRpc("id");
  UpstreamMessage m;
  m.id = id;
  if (!method.empty()) {
    if (!result.empty() || !error.empty()) return NotJsonRpc("request and response in one");
    if (null_id) return NotJsonRpc("request with a null id");
    m.method = Unquote(method);
    if (m.method.empty()) return NotJsonRpc("method");
    if (!params.empty() && params.front() != '{') return NotJsonRpc("params");
    m.kind = id.empty() ? UpstreamMessage::Kind::notification : UpstreamMessage::Kind::request;
    m.body = params;
    return m;
  }
  if (result.empty() == error.empty()) return NotJsonRpc("neither or both of result and error");
  m.kind = error.empty() ? UpstreamMessage::Kind::result : UpstreamMessage::Kind::error;
  m.body = error.empty() ? result : error;
  if (m.body.front() != '{') return NotJsonRpc("result or error is no object");
  if (error.empty() && (id.empty() || null_id)) return NotJsonRpc("result without an id");
  return m;
}

void KeepOnly(std::string& text, std::string_view part) {
  const size_t from = static_cast<size_t>(part.data() - text.data());
  text.resize(from + part.size());
  text.erase(0, from);
}

bool IsPlainHeaderValue(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if ((c < 0x20 && c != '\t') || c > 0x7e) return false;
  }
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  return !blank(text.front()) && !blank(text.back());
}

std::string HeaderValue(std::string_view text) {
  const bool looks_encoded = text.starts_with(kSentinel) && text.ends_with("?=");
  if (IsPlainHeaderValue(text) && !looks_encoded) return std::string(text);
  return std::string(kSentinel) + Base64Encode(AsBytes(text)) + "?=";
}

}  // namespace sallyport::mcp
