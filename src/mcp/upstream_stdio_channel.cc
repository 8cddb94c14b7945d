#include "mcp/upstream_stdio_channel.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "mcp/member_scan.h"
#include "mcp/upstream_bridge.h"
#include "mcp/upstream_peer.h"
#include "obs/log.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kOutgoingMessages = 1024;
constexpr size_t kOutgoingBytes = 64u << 20;
constexpr int kNoiseLines = 100;  // some servers print a greeting on the wrong stream

std::string FromOurs(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

net::Process::Options ProcessOptions(const StdioUpstreamOptions& options) {
  net::Process::Options p;
  p.argv = options.command;
  if (options.environment) p.environment = options.environment();
  p.environment.try_emplace("PATH", FromOurs("PATH", "/usr/bin:/bin"));
  p.environment.try_emplace("LANG", FromOurs("LANG", "C.UTF-8"));
  p.directory = options.directory;
  p.line_limit = options.message_bytes;
  p.memory_limit = options.memory_limit;
  p.on_stderr = [name = options.name](std::string_view line) {
    obs::Log(obs::Level::debug, "mcp.upstream_stderr", {{"connection", name}, {"line", line}});
  };
  return p;
}

}  // namespace

void MessageBox::Put(std::string message) {
  if (end_) return;
  if (messages_.size() >= kMessages || held_ + message.size() > limit_) {
    return Close({Errc::upstream_too_large, "more messages than are taken"});
  }
  held_ += message.size();
  messages_.push_back(std::move(message));
  ready_.Set();
}

void MessageBox::Close(Error why) {
  if (!end_) end_ = std::move(why);
  ready_.Set();
}

Task<std::string> MessageBox::Take() {
  while (messages_.empty()) {
    if (end_) co_return std::unexpected(*end_);
    ready_.Clear();
    // The deadline is the call's.
    const auto woken = co_await ready_.Wait(std::chrono::hours(24));
    if (!woken && woken.error().code != Errc::upstream_timeout)
      co_return std::unexpected(woken.error());
  }
  std::string message = std::move(messages_.front());
  messages_.pop_front();
  held_ -= message.size();
  co_return message;
}

struct StdioChannel::Pending {
  Pending(uint64_t i, const boost::asio::any_io_executor& executor, size_t bytes)
      : id(i), box(executor, bytes) {}
  uint64_t id;
  std::string progress_token;  // the client's, JSON text
  MessageBox box;
};

/// A request's place in the table; says so to the server when the request ends before its answer.
class StdioChannel::Registration {
 public:
  Registration(std::shared_ptr<StdioChannel> channel, bool cancellable)
      : channel_(std::move(channel)),
        cancellable_(cancellable),
        pending_(std::make_shared<Pending>(++channel_->last_id_, channel_->executor_,
                                           2 * channel_->message_bytes_)) {
    channel_->pending_.emplace(pending_->id, pending_);
  }
  Registration(const Registration&) = delete;
  ~Registration() {
    channel_->pending_.erase(pending_->id);
    if (settled || !cancellable_ || !channel_->alive()) return;
    static_cast<void>(channel_->Tell(
        "notifications/cancelled",
        R"({"requestId":)" + std::to_string(pending_->id) + R"(,"reason":"the caller has gone"})"));
  }
  Pending& pending() { return *pending_; }
  bool settled = false;

 private:
  std::shared_ptr<StdioChannel> channel_;
  bool cancellable_;
  std::shared_ptr<Pending> pending_;
};

StdioChannel::StdioChannel(const StdioUpstreamOptions& options, Use use)
    : use_(use),
      executor_(options.executor),
      name_(options.name),
      message_bytes_(options.message_bytes),
      grace_(options.grace),
      writable_(options.executor),
      heard_(std::chrono::steady_clock::now()) {}

Result<std::shared_ptr<StdioChannel>> StdioChannel::Start(const StdioUpstreamOptions& options,
                                                          Use use) {
  const std::shared_ptr<StdioChannel> channel(new StdioChannel(options, use));
  auto process = options.start ? options.start(ProcessOptions(options))
                               : net::Process::Start(options.executor, ProcessOptions(options));
  if (!process) return std::unexpected(process.error());
  channel->process_ = std::move(*process);
  obs::Log(obs::Level::info, "mcp.upstream_started",
           {{"connection", options.name}, {"pid", channel->process_->pid()}});
  net::Spawn(options.executor, Read(channel));
  net::Spawn(options.executor, Write(channel));
  return channel;
}

boost::asio::awaitable<void> StdioChannel::Read(std::shared_ptr<StdioChannel> self) {
  while (true) {
    auto line = co_await self->process_->ReadLine();
    if (!line) {
      // Nothing more is read: behind a line that is too long every line would be. A process that
      // goes on writing is stopped by End.
      self->End(line.error());
      break;
    }
    if (!*line) break;
    if (self->end_) continue;
    self->heard_ = std::chrono::steady_clock::now();
    if (const auto read = self->Line(std::move(**line)); !read) self->End(read.error());
  }
  self->End({Errc::upstream_closed, "the upstream's process has ended"});
}

boost::asio::awaitable<void> StdioChannel::Write(std::shared_ptr<StdioChannel> self) {
  while (!self->end_) {
    if (self->outgoing_.empty()) {
      self->writable_.Clear();
      static_cast<void>(co_await self->writable_.Wait(std::chrono::hours(24)));
      continue;
    }
    std::string line = std::move(self->outgoing_.front());
    self->outgoing_.pop_front();
    self->outgoing_bytes_ -= line.size();
    if (!co_await self->process_->WriteLine(std::move(line))) {
      self->End({Errc::upstream_closed, "the upstream's process reads no more"});
    }
  }
}

void StdioChannel::End(Error why) {
  if (end_) return;
  end_ = why;
  obs::Log(obs::Level::info, "mcp.upstream_ended",
           {{"connection", name_},
            {"pid", process_->pid()},
            {"reason", ReasonCode(why.code)},
            {"detail", why.detail}});
  for (const auto& [id, pending] : pending_) pending->box.Close(why);
  if (unasked_) unasked_->Close(why);
  outgoing_.clear();
  writable_.Set();
  process_->Terminate(grace_);
}

void StdioChannel::Close() { End({Errc::upstream_closed, "the conversation was closed"}); }

void StdioChannel::KillIfSilent(std::chrono::milliseconds silence) {
  if (std::chrono::steady_clock::now() - heard_ >= silence)
    End({Errc::upstream_closed, "the upstream's process did not answer"});
}

/// Line breaks between JSON tokens are white space; on this transport they would end the message.
Result<> StdioChannel::Send(std::string line) {
  if (end_) return std::unexpected(*end_);
  if (outgoing_.size() >= kOutgoingMessages || outgoing_bytes_ + line.size() > kOutgoingBytes) {
    End({Errc::upstream_closed, "the upstream's process does not read"});
    return std::unexpected(*end_);
  }
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  outgoing_bytes_ += line.size();
  outgoing_.push_back(std::move(line));
  writable_.Set();
  return {};
}

Result<> StdioChannel::Tell(std::string_view method, std::string_view params) {
  return Send(NotificationText(method, params));
}

Task<UpstreamAnswer> StdioChannel::Ask(std::string method, std::string params,
                                       UpstreamEvents& events) {
  const auto self = shared_from_this();
  if (end_) co_return std::unexpected(*end_);
  Registration registration(self, method != "initialize");
  Pending& pending = registration.pending();
  SALLYPORT_CO_TRY(params,
                   WithProgressToken(params, std::to_string(pending.id), pending.progress_token));
  if (const auto sent = Send(RequestText(pending.id, method, params)); !sent)
    co_return std::unexpected(sent.error());
  while (true) {
    SALLYPORT_CO_TRY(std::string text, co_await pending.box.Take());
    SALLYPORT_CO_TRY(auto answer, co_await Handle(std::move(text), events));
    if (!answer) continue;
    registration.settled = true;
    co_return std::move(*answer);
  }
}

Task<> StdioChannel::Hear(UpstreamEvents& events) {
  const auto self = shared_from_this();
  if (end_) co_return std::unexpected(*end_);
  const auto box = std::make_shared<MessageBox>(executor_, 2 * message_bytes_);
  unasked_ = box;
  while (true) {
    auto text = co_await box->Take();
    if (!text) {
      if (unasked_ == box) unasked_.reset();
      co_return std::unexpected(text.error());
    }
    SALLYPORT_CO_TRY([[maybe_unused]] auto none, co_await Handle(std::move(*text), events));
  }
}

Task<std::optional<UpstreamAnswer>> StdioChannel::Handle(std::string text, UpstreamEvents& events) {
  SALLYPORT_CO_TRY(const UpstreamMessage message, ReadMessage(text));
  switch (message.kind) {
    case UpstreamMessage::Kind::notification:
      SALLYPORT_CO_CHECK(co_await events.OnNotification(std::move(text)));
      break;
    case UpstreamMessage::Kind::request: {
      const std::string id(message.id);
      SALLYPORT_CO_TRY(const UpstreamAnswer answer,
                       co_await events.OnRequest(message.method, std::string(message.body)));
      SALLYPORT_CO_CHECK(Send(ResponseText(id, answer)));
      break;
    }
    case UpstreamMessage::Kind::result:
    case UpstreamMessage::Kind::error: {
      const bool error = message.kind == UpstreamMessage::Kind::error;
      KeepOnly(text, message.body);
      co_return UpstreamAnswer{error, std::move(text)};
    }
  }
  co_return std::nullopt;
}

Result<> StdioChannel::Line(std::string line) {
  const std::string_view text = TrimJson(line);
  if (text.empty()) return {};
  if (text.front() == '{') return Message(std::move(line));
  if (text.front() != '[') {
    CountStray(name_);
    if (++noise_ <= kNoiseLines) return {};
    return Fail(Errc::upstream_protocol, "the upstream's process writes what is no JSON-RPC");
  }
  MemberScan scan(text, '[');
  while (scan.Next()) SALLYPORT_CHECK(Message(std::string(scan.value())));
  if (!scan.ok())
    return Fail(Errc::upstream_protocol, "a line of the upstream's process is no JSON");
  return {};
}

Result<> StdioChannel::Message(std::string text) {
  SALLYPORT_TRY(const UpstreamMessage message, ReadMessage(text));
  noise_ = 0;
  switch (message.kind) {
    case UpstreamMessage::Kind::notification:
      Notification(std::move(text), message);
      break;
    case UpstreamMessage::Kind::request:
      Request(std::move(text), message);
      break;
    case UpstreamMessage::Kind::result:
    case UpstreamMessage::Kind::error:
      Response(std::move(text), message);
      break;
  }
  return {};
}

void StdioChannel::Response(std::string text, const UpstreamMessage& message) {
  uint64_t id = 0;
  const auto [end, e] =
      std::from_chars(message.id.data(), message.id.data() + message.id.size(), id);
  const bool number = e == std::errc() && end == message.id.data() + message.id.size();
  const auto at = number ? pending_.find(id) : pending_.end();
  if (at == pending_.end() || std::to_string(id) != message.id) {
    CountStray(name_);
    return;
  }
  const auto pending = at->second;
  pending_.erase(at);  // a second answer to it is a stray
  pending->box.Put(std::move(text));
}

StdioChannel::Pending* StdioChannel::OnlyPending() {
  return use_ == Use::own && !pending_.empty() ? pending_.rbegin()->second.get() : nullptr;
}

void StdioChannel::Notification(std::string text, const UpstreamMessage& message) {
  if (message.method == "notifications/cancelled")
    return;  // of a request that is answered where it arrives
  const auto by_number = [&](std::string_view raw) -> Pending* {
    for (const auto& [id, pending] : pending_) {
      if (std::to_string(id) == raw) return pending.get();
    }
    return nullptr;
  };
  if (message.method == "notifications/progress") {
    const std::string_view token = FindMember(message.body, "progressToken");
    Pending* pending = by_number(token);
    if (pending == nullptr || pending->progress_token.empty()) {
      CountStray(name_);
      return;
    }
    text.replace(static_cast<size_t>(token.data() - text.data()), token.size(),
                 pending->progress_token);
    return pending->box.Put(std::move(text));
  }
  const std::string_view meta = FindMember(message.body, "_meta");
  if (Pending* pending = by_number(FindMember(meta, kMetaSubscriptionId)))
    return pending->box.Put(std::move(text));
  Pending* newest = OnlyPending();
  const bool log = message.method == "notifications/message";
  if (log && newest != nullptr) return newest->box.Put(std::move(text));
  if (unasked_ && use_ == Use::own) return unasked_->Put(std::move(text));
  if (newest != nullptr) return newest->box.Put(std::move(text));
  CountStray(name_);
}

void StdioChannel::Request(std::string text, const UpstreamMessage& message) {
  if (message.method == "ping") {
    static_cast<void>(Send(ResponseText(message.id, {false, "{}"})));
  } else if (Pending* newest = OnlyPending()) {
    newest->box.Put(std::move(text));
  } else if (unasked_ && use_ == Use::own) {
    unasked_->Put(std::move(text));
  } else {
    CountStray(name_);
    static_cast<void>(
        Send(ResponseText(message.id, {true, ErrorText(-32601, "Method not found")})));
  }
}

}  // namespace sallyport::mcp
