// The eras with sessions: MCP 2025-03-26 to 2025-11-25, Streamable HTTP.
#include "app/connect_bridge.h"
#include "mcp/envelope.h"

namespace sallyport::app {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kFirstPause(1'000), kLongestPause(30'000);
constexpr std::chrono::seconds kReopenLimit(30);
constexpr int kResumeAttempts = 5;  // without one new event in between
constexpr size_t kKept = 1'000;     // subscriptions

bool IsSessionId(std::string_view id) {
  return !id.empty() && id.size() <= 1024 &&
         id.find_first_not_of(
             "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
             "abcdefghijklmnopqrstuvwxyz{|}~") == std::string_view::npos;
}

}  // namespace

net::Headers ConnectBridge::SessionHeaders(bool post) const {
  net::Headers headers = post ? mcp::PostHeaders() : net::Headers{{"Accept", "text/event-stream"}};
  if (!session_id_.empty()) headers.Add("Mcp-Session-Id", session_id_);
  if (!revision_.empty()) headers.Add("MCP-Protocol-Version", revision_);
  return headers;
}

void ConnectBridge::TakeSession(const mcp::HttpReply& reply, std::string_view initialize_result) {
  const auto id = reply.headers().Find("Mcp-Session-Id");
  session_id_ = id && IsSessionId(*id) ? std::string(*id) : "";
  const auto read = json::Document::Parse(initialize_result);
  const auto version = read ? read->root()["protocolVersion"].string() : std::nullopt;
  revision_ = version && mcp::IsPlainHeaderValue(*version) ? std::string(*version) : "";
  ++generation_;
}

Task<> ConnectBridge::Initialize(const Message& message) {
  session_id_.clear();
  revision_.clear();
  kept_.clear();
  initialize_ = message.text;
  SALLYPORT_CO_TRY(const auto reply, co_await gate_.Send("POST", mcp::PostHeaders(), message.text));
  const std::string id(message.read.id);
  if (reply->status() == 200) {
    while (true) {
      SALLYPORT_CO_TRY(auto text, co_await reply->Next());
      if (!text) break;
      if (const auto read = mcp::ReadMessage(*text);
          read && read->kind == mcp::UpstreamMessage::Kind::result && read->id == id)
        TakeSession(*reply, read->body);
      if (Deliver(std::move(*text), id)) co_return Result<>();
    }
  }
  co_return co_await Finish(*reply, id);
}

Task<> ConnectBridge::Reopen(uint64_t generation) {
  while (reopening_) {
    reopened_.Clear();
    SALLYPORT_CO_CHECK(co_await reopened_.Wait(kReopenLimit));
  }
  if (generation != generation_) co_return Result<>();  // somebody else has done it
  struct Turn {
    ConnectBridge& bridge;
    explicit Turn(ConnectBridge& b) : bridge(b) { bridge.reopening_ = true; }
    ~Turn() {
      bridge.reopening_ = false;
      bridge.reopened_.Set();
    }
  } const turn(*this);
  SALLYPORT_CO_TRY(const auto reply, co_await gate_.Send("POST", mcp::PostHeaders(), initialize_));
  bool open = false;
  while (reply->status() == 200 && !open) {
    SALLYPORT_CO_TRY(auto text, co_await reply->Next());
    if (!text) break;
    const auto read = mcp::ReadMessage(*text);
    if (!read || read->kind != mcp::UpstreamMessage::Kind::result) continue;
    TakeSession(*reply, read->body);
    open = true;
  }
  if (reply->status() == 401) co_return Fail(Errc::token_missing, gate_.SignIn("session-ended"));
  if (!open) co_return Fail(Errc::upstream_closed, "the session is over, and it opens no other");
  SALLYPORT_CO_CHECK(co_await PostOneWay(mcp::NotificationText("notifications/initialized", {})));
  for (const auto& [key, text] : kept_) {
    SALLYPORT_CO_TRY([[maybe_unused]] const auto ignored,
                     co_await gate_.Send("POST", SessionHeaders(true), text));
  }
  Say("the gate did not know the session any more: another one was opened");
  net::Spawn(executor_, [](std::shared_ptr<ConnectBridge> self) -> asio::awaitable<void> {
    co_await self->Listen(self->generation_);
  }(shared_from_this()));
  co_return Result<>();
}

void ConnectBridge::Remember(const mcp::ClientMessage& message, const std::string& text) {
  if (message.method == "logging/setLevel") kept_["level"] = text;
  const auto uri = message.params["uri"].string();
  if (!uri) return;
  if (message.method == "resources/subscribe" && kept_.size() < kKept)
    kept_["of " + std::string(*uri)] = text;
  if (message.method == "resources/unsubscribe") kept_.erase("of " + std::string(*uri));
}

Task<> ConnectBridge::AskSession(const Message& message) {
  const std::string id(message.read.id);
  Remember(message.read, message.text);
  for (bool again = false;; again = true) {
    const uint64_t generation = generation_;
    const bool in_session = !session_id_.empty();
    SALLYPORT_CO_TRY(auto reply, co_await gate_.Send("POST", SessionHeaders(true), message.text));
    // By the specification: the session is over, and the request has not been looked at.
    if (reply->status() == 404 && in_session && !again) {
      reply.reset();
      SALLYPORT_CO_CHECK(co_await Reopen(generation));
      continue;
    }
    if (reply->status() == 200 && reply->form() == mcp::HttpReply::Form::events)
      co_return co_await Follow(std::move(reply), id);
    co_return co_await Finish(*reply, id);
  }
}

/// A stream that breaks goes on behind its last event: nothing is lost and nothing repeated.
Task<> ConnectBridge::Follow(std::unique_ptr<mcp::HttpReply> reply, std::string raw_id) {
  const uint64_t generation = generation_;
  auto pause = kFirstPause;
  for (int broken = 0;;) {
    auto text = co_await reply->Next();
    if (text && *text) {
      broken = 0;
      if (Deliver(std::move(**text), raw_id)) {
        mcp::ReadToEnd(executor_, std::move(reply));
        co_return Result<>();
      }
      continue;
    }
    const bool gone = text || text.error().code == Errc::upstream_closed ||
                      text.error().code == Errc::upstream_timeout;
    if (!gone) co_return std::unexpected(text.error());
    if (!flights_.contains(raw_id)) co_return Result<>();  // cancelled: nobody waits
    if (reply->last_event_id().empty() || ++broken > kResumeAttempts || generation != generation_) {
      co_return Fail(Errc::upstream_closed,
                     "the connection broke before the answer; the call may have run");
    }
    if (reply->retry()) pause = std::chrono::milliseconds(*reply->retry());
    SALLYPORT_CO_CHECK(co_await net::Sleep(std::min(pause, kLongestPause)));
    net::Headers headers = SessionHeaders(false);
    headers.Add("Last-Event-ID", reply->last_event_id());
    SALLYPORT_CO_TRY(auto next, co_await gate_.Send("GET", std::move(headers), {}));
    if (next->status() != 200 || next->form() != mcp::HttpReply::Form::events)
      co_return co_await Finish(*next, raw_id);
    next->ContinueFrom(*reply);
    reply = std::move(next);
  }
}

/// The stream of what belongs to no call.
boost::asio::awaitable<void> ConnectBridge::Listen(uint64_t generation) {
  const auto self = shared_from_this();
  std::unique_ptr<mcp::HttpReply> last;
  auto pause = kFirstPause;
  while (!closing_ && generation == generation_ && !session_id_.empty()) {
    net::Headers headers = SessionHeaders(false);
    if (last && !last->last_event_id().empty()) headers.Add("Last-Event-ID", last->last_event_id());
    auto reply = co_await gate_.Send("GET", std::move(headers), {});
    if (reply && ((*reply)->status() == 405 || (*reply)->status() == 404)) co_return;
    if (reply && (*reply)->status() == 200 && (*reply)->form() == mcp::HttpReply::Form::events) {
      if (last) (*reply)->ContinueFrom(*last);
      last = std::move(*reply);
      while (true) {
        auto text = co_await last->Next();
        if (!text || !*text) break;
        pause = kFirstPause;
        (void)Deliver(std::move(**text), {});
      }
    }
    if (!co_await net::Sleep(pause)) co_return;
    pause = std::min(pause * 2, kLongestPause);
  }
}

/// What has no answer. A session that is over takes nothing: the next request opens another one.
Task<> ConnectBridge::PostOneWay(std::string text) {
  SALLYPORT_CO_TRY(const auto reply,
                   co_await gate_.Send("POST", SessionHeaders(true), std::move(text)));
  if (reply->status() == 401) RefuseStatus({}, *reply);
  co_return Result<>();
}

}  // namespace sallyport::app
