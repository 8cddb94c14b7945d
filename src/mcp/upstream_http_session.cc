#include "mcp/upstream_http_session.h"

#include "json/document.h"
#include "mcp/envelope.h"
#include "mcp/member_scan.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::milliseconds kDefaultRetry(1'000);
constexpr std::chrono::milliseconds kLongestRetry(60'000);
constexpr int kResumeAttempts = 5;  // without one new event in between

bool IsSessionId(std::string_view id) {
  for (const char c : id) {
    if (c < 0x21 || c > 0x7e) return false;
  }
  return !id.empty() && id.size() <= 1024;
}

}  // namespace

struct HttpSession::Asked {
  uint64_t id = 0;
  std::string own_id;
  std::string method;
  bool modern_client = false;
  bool wants_log = true;
  bool settled = false;  // answered, or never arrived: nothing to cancel
};

/// Tells the server when a call ends before its answer: in these eras a closed stream tells it
/// nothing.
class HttpSession::CancelNotice {
 public:
  CancelNotice(std::shared_ptr<HttpSession> session, const Asked& asked)
      : session_(std::move(session)), asked_(asked) {}
  CancelNotice(const CancelNotice&) = delete;
  ~CancelNotice() {
    if (asked_.settled || session_->closed_ || !session_->ready_ || asked_.method == "initialize")
      return;
    const auto send = [](std::shared_ptr<HttpSession> session,
                         std::string body) -> boost::asio::awaitable<void> {
      co_await session->PostOneWay(std::move(body));
    };
    net::Spawn(session_->wire_->options().executor,
               send(session_, NotificationText("notifications/cancelled",
                                               R"({"requestId":)" + asked_.own_id +
                                                   R"(,"reason":"the caller has gone"})")));
  }

 private:
  std::shared_ptr<HttpSession> session_;
  const Asked& asked_;
};

HttpSession::HttpSession(std::shared_ptr<HttpWire> wire, ClientFace face)
    : wire_(std::move(wire)), face_(std::move(face)), turn_(wire_->options().executor) {}

net::Headers HttpSession::SessionHeaders(bool post) const {
  net::Headers headers = post ? PostHeaders() : net::Headers();
  if (!session_id_.empty()) headers.Add("Mcp-Session-Id", session_id_);
  if (ready_ || !server_.version.empty()) headers.Add("MCP-Protocol-Version", server_.version);
  return headers;
}

Task<> HttpSession::Ensure() {
  if (ready_) co_return Result<>();
  if (closed_) co_return Fail(Errc::upstream_closed, "session is closed");
  SALLYPORT_CO_TRY([[maybe_unused]] Turn::Hold hold,
                   co_await turn_.Take(wire_->options().describe_timeout));
  if (ready_) co_return Result<>();
  co_return co_await Initialize();
}

Task<> HttpSession::Initialize() {
  const Revision wanted = IsModern(face_.revision) ? Revision::r2025_11_25 : face_.revision;
  session_id_.clear();
  server_ = {};
  log_level_.clear();
  const uint64_t id = wire_->NextId();
  SALLYPORT_CO_TRY(
      auto reply, co_await wire_->Post(
                      PostHeaders(), RequestText(id, "initialize", InitializeParams(wanted, face_)),
                      face_.caller.get()));
  if (!reply->ok()) co_return UnexpectedStatus(reply->status());
  while (true) {
    SALLYPORT_CO_TRY(auto text, co_await reply->Next());
    if (!text)
      co_return Fail(Errc::upstream_closed, "stream ended before the answer to initialize");
    SALLYPORT_CO_TRY(const UpstreamMessage message, ReadMessage(*text));
    const bool answer = message.kind == UpstreamMessage::Kind::result ||
                        message.kind == UpstreamMessage::Kind::error;
    if (!answer || message.id != std::to_string(id)) continue;
    if (message.kind == UpstreamMessage::Kind::error) {
      co_return Fail(Errc::upstream_protocol, "upstream refused initialize");
    }
    SALLYPORT_CO_TRY(server_, ReadInitialize(message.body));
    break;
  }
  if (const auto session = reply->headers().Find("mcp-session-id")) {
    if (reply->headers().Count("mcp-session-id") != 1 || !IsSessionId(*session)) {
      co_return Fail(Errc::upstream_protocol, "malformed session id of the upstream");
    }
    session_id_ = *session;
  }
  SALLYPORT_CO_CHECK(co_await PostOneWay(NotificationText("notifications/initialized", {})));
  ++generation_;
  ready_ = true;
  co_return Result<>();
}

void HttpSession::Forget(uint64_t generation) {
  if (generation == generation_) ready_ = false;
}

/// The server does not know the session: by the specification 404; some answer 400 with an error
/// that has no id. Both say that the request has not been looked at.
bool HttpSession::Lost(const HttpReply& reply) const {
  return !session_id_.empty() && (reply.status() == 404 || reply.status() == 400);
}

Task<> HttpSession::PostOneWay(std::string body) {
  SALLYPORT_CO_TRY(auto reply,
                   co_await wire_->Post(SessionHeaders(true), std::move(body), face_.caller.get()));
  if (!reply->ok()) co_return UnexpectedStatus(reply->status());
  co_return Result<>();
}

Task<UpstreamAnswer> HttpSession::Call(UpstreamRequest request, UpstreamEvents& events) {
  const auto self = shared_from_this();
  const bool modern = IsModern(face_.revision);
  std::string level;
  if (modern) {
    SALLYPORT_CO_TRY(request.params, SessionParams(request.params, level));
  }
  for (int attempt = 0;; ++attempt) {
    SALLYPORT_CO_CHECK(co_await Ensure());
    const uint64_t generation = generation_;
    if (!level.empty() && level != log_level_) {
      log_level_ = level;
      UpstreamRequest set{"logging/setLevel", R"({"level":)" + level + "}", {}, {}};
      SALLYPORT_CO_TRY([[maybe_unused]] UpstreamAnswer ignored,
                       co_await Call(std::move(set), events));
    }
    Asked asked{wire_->NextId(), {}, request.method, modern, !modern || !level.empty(), false};
    asked.own_id = std::to_string(asked.id);
    const CancelNotice notice(self, asked);
    auto posted = co_await wire_->Post(SessionHeaders(true),
                                       RequestText(asked.id, request.method, request.params),
                                       face_.caller.get());
    if (!posted) {
      asked.settled = posted.error().code == Errc::upstream_unreachable ||
                      posted.error().code == Errc::upstream_credential_failed;
      co_return std::unexpected(posted.error());
    }
    auto reply = std::move(*posted);
    if (attempt == 0 && Lost(*reply)) {
      bool lost = reply->status() == 404;
      std::optional<UpstreamAnswer> refusal;
      if (reply->form() == HttpReply::Form::json) {
        // A 400 or 404 about this very request is an answer to it and no lost session.
        auto text = co_await reply->Next();
        const auto message = text && *text ? ReadMessage(**text) : Fail(Errc::upstream_protocol);
        const bool error = message && message->kind == UpstreamMessage::Kind::error;
        if (error && message->id == asked.own_id)
          refusal = UpstreamAnswer{true, std::string(message->body)};
        lost |= error && !refusal;
      }
      asked.settled = true;
      if (refusal) co_return std::move(*refusal);
      if (!lost) co_return UnexpectedStatus(reply->status());
      Forget(generation);
      continue;
    }
    co_return co_await Follow(asked, std::move(reply), events);
  }
}

Task<UpstreamAnswer> HttpSession::Follow(Asked& asked, std::unique_ptr<HttpReply> reply,
                                         UpstreamEvents& events) {
  if (reply->form() == HttpReply::Form::none || reply->form() == HttpReply::Form::other) {
    asked.settled = !reply->ok();
    if (!reply->ok()) co_return UnexpectedStatus(reply->status());
  }
  int broken = 0;
  while (true) {
    auto text = co_await reply->Next();
    if (!text || !*text) {
      // The stream is over without the answer: go on from the last event, if the server numbers
      // them.
      const bool gone = text || text.error().code == Errc::upstream_closed ||
                        text.error().code == Errc::upstream_timeout;
      if (!gone) co_return std::unexpected(text.error());
      if (reply->form() != HttpReply::Form::events || reply->last_event_id().empty() ||
          ++broken > kResumeAttempts) {
        co_return Fail(Errc::upstream_closed, "stream ended before the answer");
      }
      SALLYPORT_CO_TRY(reply, co_await Resume(*reply));
      continue;
    }
    broken = 0;
    SALLYPORT_CO_TRY(auto answer, co_await Take(asked, *reply, std::move(**text), events));
    if (!answer) continue;
    ReadToEnd(wire_->options().executor, std::move(reply));
    co_return std::move(*answer);
  }
}

Task<std::unique_ptr<HttpReply>> HttpSession::Resume(const HttpReply& broken) {
  const std::chrono::milliseconds wait =
      broken.retry() ? std::chrono::milliseconds(*broken.retry()) : kDefaultRetry;
  SALLYPORT_CO_CHECK(co_await net::Sleep(std::min(wait, kLongestRetry)));
  net::Headers headers = SessionHeaders(false);
  headers.Add("Last-Event-ID", broken.last_event_id());
  SALLYPORT_CO_TRY(auto reply, co_await wire_->Get(std::move(headers), face_.caller.get()));
  if (!reply->ok() || reply->form() != HttpReply::Form::events) {
    co_return Fail(Errc::upstream_closed, "stream ended before the answer and cannot be resumed");
  }
  reply->ContinueFrom(broken);
  co_return reply;
}

Task<std::optional<UpstreamAnswer>> HttpSession::Take(Asked& asked, const HttpReply& reply,
                                                      std::string text, UpstreamEvents& events) {
  const auto message = ReadMessage(text);
  if (!message) {
    asked.settled = !reply.ok();
    if (!reply.ok()) co_return UnexpectedStatus(reply.status());
    co_return std::unexpected(message.error());
  }
  switch (message->kind) {
    case UpstreamMessage::Kind::notification: {
      if (message->method == "notifications/cancelled")
        break;  // names a request of its own that we have answered
      if (message->method == "notifications/message" && !asked.wants_log) break;
      SALLYPORT_CO_CHECK(co_await events.OnNotification(std::move(text)));
      break;
    }
    case UpstreamMessage::Kind::request:
      SALLYPORT_CO_CHECK(co_await Answer(std::string(message->id), message->method,
                                         std::string(message->body), events));
      break;
    case UpstreamMessage::Kind::result:
    case UpstreamMessage::Kind::error: {
      const bool error = message->kind == UpstreamMessage::Kind::error;
      const bool refusal = error && !reply.ok() && (message->id.empty() || message->id == "null");
      if (message->id != asked.own_id && !refusal) {
        wire_->Stray();
        if (reply.form() == HttpReply::Form::json && server_.revision != Revision::r2025_03_26) {
          co_return Fail(Errc::upstream_protocol, "answer to another request");
        }
        break;
      }
      asked.settled = true;
      const std::string_view body = message->body;
      KeepOnly(text, body);
      if (!error && asked.modern_client) CompleteResult(text, asked.method);
      co_return UpstreamAnswer{error, std::move(text)};
    }
  }
  co_return std::nullopt;
}

Task<> HttpSession::Answer(std::string raw_id, std::string method, std::string params,
                           UpstreamEvents& events) {
  UpstreamAnswer answer{false, "{}"};
  if (method != "ping") {
    SALLYPORT_CO_TRY(answer, co_await events.OnRequest(std::move(method), std::move(params)));
  }
  co_return co_await PostOneWay(ResponseText(raw_id, answer));
}

Task<> HttpSession::Notify(std::string method, std::string params) {
  SALLYPORT_CO_CHECK(co_await Ensure());
  co_return co_await PostOneWay(NotificationText(method, params));
}

void HttpSession::Close() {
  if (closed_) return;
  closed_ = true;
  if (!ready_ || session_id_.empty()) return;
  const auto send = [](std::shared_ptr<HttpWire> wire, net::Headers headers,
                       std::shared_ptr<const op::Session> caller) -> boost::asio::awaitable<void> {
    co_await wire->Delete(std::move(headers), std::move(caller));
  };
  net::Spawn(wire_->options().executor, send(wire_, SessionHeaders(false), face_.caller));
  ready_ = false;
}

}  // namespace sallyport::mcp
