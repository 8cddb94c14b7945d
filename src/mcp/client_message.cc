#include "mcp/client_message.h"

#include <algorithm>

namespace sallyport::mcp {
namespace {

bool IsInteger(std::string_view raw) {
  if (raw.starts_with('-')) raw.remove_prefix(1);
  return !raw.empty() && raw.size() <= 20 &&
         std::ranges::all_of(raw, [](char c) { return c >= '0' && c <= '9'; });
}

bool IsId(json::Value id) {
  return id.is(json::Kind::string) || (id.is(json::Kind::number) && IsInteger(id.raw()));
}

std::unexpected<Error> Malformed(std::string_view what) {
  return Fail(Errc::request_malformed, std::string(what));
}

}  // namespace

Result<ClientMessage> ReadClientMessage(json::Value value) {
  if (!value.is(json::Kind::object)) return Malformed("a JSON-RPC message is an object");
  json::Value id;
  json::Value method;
  ClientMessage m;
  bool version = false;
  for (json::Value v = value.first(); v; v = v.next()) {
    const std::string_view key = v.key();
    if (key == "jsonrpc")
      version = v.string() == "2.0";
    else if (key == "id")
      id = v;
    else if (key == "method")
      method = v;
    else if (key == "params")
      m.params = v;
    else if (key == "result")
      m.result = v;
    else if (key == "error")
      m.error = v;
  }
  if (!version) return Malformed("jsonrpc must be \"2.0\"");
  if (id && !IsId(id)) return Malformed("an id is a string or an integer");
  m.id = id.raw();
  if (method) {
    if (m.result || m.error) return Malformed("request and response in one message");
    if (!method.string() || method.string()->empty()) return Malformed("method must be a string");
    if (m.params && !m.params.is(json::Kind::object)) return Malformed("params must be an object");
    m.method = *method.string();
    m.kind = id ? ClientMessage::Kind::request : ClientMessage::Kind::notification;
    return m;
  }
  if (!id || static_cast<bool>(m.result) == static_cast<bool>(m.error)) {
    return Malformed("neither a request nor a response");
  }
  if (!(m.result ? m.result : m.error).is(json::Kind::object))
    return Malformed("a response holds an object");
  m.kind = ClientMessage::Kind::response;
  return m;
}

std::string ResultMessage(std::string_view raw_id, std::string_view result) {
  std::string out;
  out.reserve(raw_id.size() + result.size() + 40);
  out.append(R"({"jsonrpc":"2.0","id":)").append(raw_id).append(R"(,"result":)").append(result) +=
      '}';
  return out;
}

std::string ErrorMessage(std::string_view raw_id, std::string_view error) {
  std::string out = R"({"jsonrpc":"2.0",)";
  if (!raw_id.empty()) out.append(R"("id":)").append(raw_id) += ',';
  out.append(R"("error":)").append(error) += '}';
  return out;
}

std::string ErrorObject(int code, std::string_view message, std::string_view data) {
  std::string out = R"({"code":)" + std::to_string(code) + R"(,"message":)";
  json::AppendString(out, message);
  if (!data.empty()) out.append(R"(,"data":)").append(data);
  return out += '}';
}

std::string MethodMessage(std::string_view raw_id, std::string_view method,
                          std::string_view params) {
  std::string out = R"({"jsonrpc":"2.0",)";
  if (!raw_id.empty()) out.append(R"("id":)").append(raw_id) += ',';
  out.append(R"("method":)");
  json::AppendString(out, method);
  if (!params.empty()) out.append(R"(,"params":)").append(params);
  return out += '}';
}

}  // namespace sallyport::mcp
