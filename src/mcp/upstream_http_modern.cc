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

class NoEvents final : public UpstreamEvents {
 public:
  Task<> OnNotification(std::string) override { co_return Result<>(); }
  Task<UpstreamAnswer> OnRequest(std::string, std::string) override {
    co_return UpstreamAnswer{true, ErrorText(-32601, "Method not found")};
  }
};

}  // namespace

Task<UpstreamAnswer> HttpModern::Ask(ModernRequest request, UpstreamEvents& events) {
  SALLYPORT_CO_TRY(net::Headers headers, HeadersOf(request));
  const uint64_t id = wire_->NextId();
  SALLYPORT_CO_TRY(
      auto reply,
      co_await wire_->Post(std::move(headers), RequestText(id, request.method, request.params)));
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
          ++wire_->strays;
          break;
        }
        const std::string_view body = message->body;
        KeepOnly(*text, body);
        co_return UpstreamAnswer{error, std::move(*text)};
      }
    }
  }
}

Task<std::optional<UpstreamFace>> ProbeModern(std::shared_ptr<HttpWire> wire) {
  ClientFace nobody;
  nobody.revision = Revision::r2026_07_28;
  SALLYPORT_CO_TRY(std::string params, ModernParams({}, nobody, {}));
  HttpModern modern(wire);
  NoEvents ignored;
  const auto answer = co_await modern.Ask({"server/discover", std::move(params), {}, {}}, ignored);
  if (!answer) {
    // Whatever it said that is not modern means `initialize`, which finds out what is really wrong.
    if (answer.error().code == Errc::upstream_protocol) co_return std::nullopt;
    co_return std::unexpected(answer.error());
  }
  if (!answer->error) {
    auto face = ReadDiscover(answer->json);
    if (!face) co_return std::nullopt;
    if (!face->revisions.empty() && IsModern(face->revisions.back())) co_return std::move(*face);
    if (!face->revisions.empty()) co_return std::nullopt;
    co_return Fail(Errc::upstream_protocol, "upstream speaks no revision that is spoken here");
  }
  const auto doc = json::Document::Parse(answer->json);
  const int64_t code = doc ? doc->root()["code"].integer().value_or(0) : 0;
  if (code == -32022) {
    const json::Value supported = doc->root()["data"]["supported"];
    for (auto v = supported.at(0); v; v = v.next()) {
      const auto known = ParseRevision(v.string().value_or(std::string_view()));
      if (known && !IsModern(*known)) co_return std::nullopt;
    }
    co_return Fail(Errc::upstream_protocol, "upstream speaks no revision that is spoken here");
  }
  if (code == -32020 || code == -32021) {
    co_return Fail(Errc::upstream_protocol,
                   "upstream refused server/discover with " + std::to_string(code));
  }
  co_return std::nullopt;
}

}  // namespace sallyport::mcp
