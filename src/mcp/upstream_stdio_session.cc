#include "mcp/upstream_stdio_session.h"

#include <algorithm>

namespace sallyport::mcp {
namespace {

constexpr std::chrono::milliseconds kLongestPause(30'000);
constexpr std::chrono::seconds kGrownUp(60);

/// Keeps log messages from a modern client that did not ask for them.
class WithoutLog final : public UpstreamEvents {
 public:
  explicit WithoutLog(UpstreamEvents& inner) : inner_(inner) {}
  Task<> OnNotification(std::string message) override {
    const auto read = ReadMessage(message);
    if (read && read->method == "notifications/message") co_return Result<>();
    co_return co_await inner_.OnNotification(std::move(message));
  }
  Task<UpstreamAnswer> OnRequest(std::string method, std::string params) override {
    return inner_.OnRequest(std::move(method), std::move(params));
  }

 private:
  UpstreamEvents& inner_;
};

}  // namespace

void RestartPause::Died() {
  const auto now = std::chrono::steady_clock::now();
  if (now - started_ > kGrownUp) deaths_ = 0;
  const auto pause = std::min(first_ * (1 << std::min(deaths_, 16)), kLongestPause);
  ++deaths_;
  not_before_ = now + pause;
}

Task<> RestartPause::Wait() const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(not_before_ - std::chrono::steady_clock::now());
  if (left.count() > 0) co_return co_await net::Sleep(left);
  co_return Result<>();
}

StdioHost::StdioHost(StdioUpstreamOptions options)
    : options_(std::move(options)), pause_(options_.first_pause), turn_(options_.executor) {}

Result<std::shared_ptr<StdioChannel>> StdioHost::Start(StdioChannel::Use use) {
  std::erase_if(started_, [](const auto& channel) { return channel.expired(); });
  if (started_.size() >= options_.processes) {
    return Fail(Errc::limit_exceeded,
                "processes of this connection: " + std::to_string(started_.size()));
  }
  SALLYPORT_TRY(auto channel, StdioChannel::Start(options_, use));
  started_.push_back(channel);
  return channel;
}

Task<std::shared_ptr<StdioChannel>> StdioHost::Shared() {
  if (shared_ && shared_->alive()) co_return shared_;
  SALLYPORT_CO_TRY([[maybe_unused]] Turn::Hold hold,
                   co_await turn_.Take(options_.describe_timeout));
  if (shared_ && shared_->alive()) co_return shared_;
  if (shared_) {
    pause_.Died();
    shared_.reset();
    if (on_restart) on_restart();
  }
  SALLYPORT_CO_CHECK(co_await pause_.Wait());
  auto started = Start(StdioChannel::Use::shared);
  if (!started) {
    pause_.Died();
    co_return std::unexpected(started.error());
  }
  pause_.Started();
  shared_ = *started;
  co_return shared_;
}

void StdioHost::CloseShared() {
  if (shared_) shared_->Close();
  shared_.reset();
}

StdioSession::StdioSession(std::shared_ptr<StdioHost> host, ClientFace face)
    : host_(std::move(host)),
      face_(std::move(face)),
      turn_(host_->options().executor),
      pause_(host_->options().first_pause) {}

Task<> StdioSession::Ensure() {
  if (closed_) co_return Fail(Errc::upstream_closed, "session is closed");
  if (ready_ && channel_->alive()) co_return Result<>();
  SALLYPORT_CO_TRY([[maybe_unused]] Turn::Hold hold,
                   co_await turn_.Take(host_->options().call_timeout));
  if (ready_ && channel_->alive()) co_return Result<>();
  if (channel_) {
    pause_.Died();
    channel_->Close();
    channel_.reset();
    if (host_->on_restart) host_->on_restart();
  }
  ready_ = false;
  SALLYPORT_CO_CHECK(co_await pause_.Wait());
  if (closed_) co_return Fail(Errc::upstream_closed, "session is closed");
  auto started = host_->Start(StdioChannel::Use::own);
  if (!started) {
    if (started.error().code == Errc::upstream_unreachable) pause_.Died();
    co_return std::unexpected(started.error());
  }
  pause_.Started();
  channel_ = std::move(*started);
  co_return co_await Initialize();
}

Task<> StdioSession::Initialize() {
  NoEvents none;
  log_level_.clear();
  const Revision wanted = IsModern(face_.revision) ? Revision::r2025_11_25 : face_.revision;
  const auto channel = channel_;
  auto answer = co_await channel->Ask("initialize", InitializeParams(wanted, face_), none);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->error) co_return Fail(Errc::upstream_protocol, "upstream refused initialize");
  SALLYPORT_CO_TRY(server_, ReadInitialize(answer->json));
  SALLYPORT_CO_CHECK(channel->Tell("notifications/initialized", {}));
  ready_ = true;
  co_return Result<>();
}

Task<UpstreamAnswer> StdioSession::Call(UpstreamRequest request, UpstreamEvents& events) {
  SALLYPORT_CO_CHECK(co_await Ensure());
  const auto channel = channel_;
  if (!IsModern(face_.revision)) {
    co_return co_await channel->Ask(std::move(request.method), std::move(request.params), events);
  }
  std::string level;
  SALLYPORT_CO_TRY(std::string params, SessionParams(request.params, level));
  WithoutLog quiet(events);
  UpstreamEvents& chosen = level.empty() ? quiet : events;
  if (!level.empty() && level != log_level_) {
    log_level_ = level;
    SALLYPORT_CO_TRY(
        [[maybe_unused]] UpstreamAnswer ignored,
        co_await channel->Ask("logging/setLevel", R"({"level":)" + level + "}", quiet));
  }
  SALLYPORT_CO_TRY(UpstreamAnswer answer,
                   co_await channel->Ask(request.method, std::move(params), chosen));
  if (!answer.error) CompleteResult(answer.json, request.method);
  co_return answer;
}

Task<> StdioSession::Notify(std::string method, std::string params) {
  SALLYPORT_CO_CHECK(co_await Ensure());
  co_return channel_->Tell(method, params);
}

Task<> StdioSession::Listen(std::string filter, UpstreamEvents& events) {
  SALLYPORT_CO_CHECK(co_await Ensure());
  SALLYPORT_CO_CHECK(co_await SubscribeTo(*this, filter));
  const auto channel = channel_;
  co_return co_await channel->Hear(events);
}

void StdioSession::Close() {
  closed_ = true;
  if (channel_) channel_->Close();
}

void StdioSession::TimedOut(std::chrono::milliseconds limit) {
  if (channel_) channel_->KillIfSilent(limit / 2);
}

Task<UpstreamAnswer> StdioModern::Ask(ModernRequest request, UpstreamEvents& events) {
  SALLYPORT_CO_TRY(const auto channel, co_await host_->Shared());
  co_return co_await channel->Ask(std::move(request.method), std::move(request.params), events);
}

void StdioModern::TimedOut(std::chrono::milliseconds limit) {
  if (host_->shared()) host_->shared()->KillIfSilent(limit / 2);
}

}  // namespace sallyport::mcp
