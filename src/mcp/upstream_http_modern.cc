#include "mcp/upstream_http_modern.h"

#include "json/document.h"
#include "mcp/envelope.h"
#include "mcp/upstream_bridge.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kVersion = "2026-07-28";

bool IsParamHeader(std::string_view name) {
  if (name.size() <= 10 || !net::SameName(name.substr(0, 10), "mcp-param-")) return false;
  for (const char c : name) {
    const bool token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    if (!token) return false;
  }
  return true;
}

Result<net::Headers> HeadersOf(ModernRequest& request) {
  if (request.method.empty() || !IsPlainHeaderValue(request.method)) {
    return Fail(Errc::header_invalid, "method cannot stand in a header");
  }
  net::Headers headers = PostHeaders();
  headers.Add("MCP-Protocol-Version", std::string(kVersion));
  headers.Add("Mcp-Method", request.method);
  if (!request.name.empty()) headers.Add("Mcp-Name", HeaderValue(request.name));
  for (auto& [name, value] : request.headers) {
    if (!IsParamHeader(name) || !IsPlainHeaderValue(value)) {
      return Fail(Errc::header_invalid, "a parameter header that cannot be sent");
    }
    headers.Add(std::move(name), std::move(value));
  }
  return headers;
}

}  // namespace

Task<UpstreamAnswer> HttpModern::Ask(ModernRequest request, UpstreamEvents& events) {
  SALLYPORT_CO_TRY(net::Headers headers, HeadersOf(request));
  const uint64_t id = wire_->NextId();
  SALLYPORT_CO_TRY(auto reply, co_await wire_->Post(std::move(headers),
                                                    RequestText(id, request.method, request.params),
                                                    request.caller));
  const int status = reply->status();
  if (reply->form() == HttpReply::Form::none || reply->form() == HttpReply::Form::other) {
    if (!reply->ok()) co_return UnexpectedStatus(status);
  }
  const std::string own_id = std::to_string(id);
  while (true) {
    SALLYPORT_CO_TRY(auto text, co_await reply->Next());
    if (!text) co_return Fail(Errc::upstream_closed, "stream ended before the answer");
    const auto message = ReadMessage(*text);
    if (!message) {
      if (!reply->ok()) co_return UnexpectedStatus(status);
      co_return std::unexpected(message.error());
    }
    switch (message->kind) {
      case UpstreamMessage::Kind::notification:
        SALLYPORT_CO_CHECK(co_await events.OnNotification(std::move(*text)));
        break;
      case UpstreamMessage::Kind::request:
        co_return Fail(Errc::upstream_protocol,
                       "a request of the server on a stream of 2026-07-28");
      case UpstreamMessage::Kind::result:
      case UpstreamMessage::Kind::error: {
        const bool error = message->kind == UpstreamMessage::Kind::error;
        // A refusal may come without an id: the server could not, or did not, read it.
        const bool refusal =
            error && !reply->ok() && (message->id.empty() || message->id == "null");
        if (message->id != own_id && !refusal) {
          if (reply->form() == HttpReply::Form::json) {
            co_return Fail(Errc::upstream_protocol, "answer to another request");
          }
          wire_->Stray();
          break;
        }
        const std::string_view body = message->body;
        KeepOnly(*text, body);
        ReadToEnd(wire_->options().executor, std::move(reply));
        co_return UpstreamAnswer{error, std::move(*text)};
      }
    }
  }
}

}  // namespace sallyport::mcp
