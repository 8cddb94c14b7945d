#include "pg/session.h"

#include <algorithm>

#include "base/ids.h"
#include "obs/log.h"
#include "pg/to_wire.h"

namespace sallyport::pg {
namespace {

/// Of a statement goes into its entry, or beside it, what an entry could hold.
constexpr size_t kStatementBytes = 60 << 10;

}  // namespace
namespace {

constexpr std::chrono::milliseconds kLastWords{500}, kCancelTime{1'000};
constexpr size_t kRoom = 64 << 10;

}  // namespace

Session::Session(boost::asio::any_io_executor executor, Parts parts)
    : executor_(executor),
      front_(*parts.front),
      place_(*parts.place),
      analyzer_(*parts.place->analyzers.at(parts.shard)),
      client_(std::move(parts.client)),
      server_(std::move(parts.server)),
      who_(std::move(parts.who)),
      credential_(std::move(parts.credential)),
      figures_(std::move(parts.figures)),
      settings_(front_.current),
      mark_(NewId("sallyport_refused_")),
      answered_(executor),
      cancelled_(executor),
      server_done_(executor),
      client_free_(executor),
      work_(executor),
      idle_(net::Loop::Of(executor), [this] { OnIdle(); }),
      life_(net::Loop::Of(executor),
            [this] {
              Stop(token_ends_it_ ? access::TimeIsOver(who_->who)
                                  : Error(Errc::session_ended,
                                          "the session has reached its longest duration"));
            }),
      last_words_(net::Loop::Of(executor), [this] { client_->Close(); }),
      until_(parts.until),
      token_ends_it_(parts.token_ends_it) {
  names_.search_path = std::move(parts.search_path);
  if (const std::string* name = server_.Parameter("application_name"))
    trace_ = TraceOfName(*name, *settings_.Get()->masker);
}

boost::asio::awaitable<void> Session::Run() {
  const auto self = shared_from_this();
  client_->SetRoom(kRoom);
  server_.stream->SetRoom(kRoom);
  life_.Set(until_);
  idle_.SetAfter(settings_.Get()->limits.session_idle);
  if (const auto since = place_.catalog.Outdated(front_.options.clock.SteadyNow())) {
    catalog_old_ = true;
    catalog_since_ = *since;
  }
  net::Spawn(executor_, ServerHalf(self));
  co_await ClientHalf();
  if (!terminated_ && !stop_) ClientGone();
  (void)co_await server_done_.Wait(std::chrono::hours(24));
  if (cancelling_ > 0) {  // the query would go on without us
    cancelled_.Clear();
    (void)co_await cancelled_.Wait(kCancelTime);
  }
  life_.Clear(), idle_.Clear(), last_words_.Clear();
  server_.stream->Close();
  client_->Close();
  // What was permitted and never answered is recorded as abandoned.
  pending_.clear();
  batch_.clear();
}

boost::asio::awaitable<void> Session::ServerHalf(std::shared_ptr<Session> self) {
  try {
    co_await self->ServeServer();
  } catch (const std::exception& e) {
    obs::Log(obs::Level::error, "pg.exception", {{"what", e.what()}});
    self->stop_ = Error(Errc::internal);
  }
  co_await self->Farewell();
  self->server_.stream->Close();
  self->client_->Close();
  self->answered_.Set();
  self->client_free_.Set();
  self->server_done_.Set();
  if (self->vigil_ != nullptr) self->vigil_->Wake();
}

/// The caller's own session is locked by then, unless it works elsewhere.
void Session::OnIdle() {
  Result<> may = credential_ ? access::Work::Allowed(credential_->live) : Result<>();
  Stop(may ? Error(Errc::session_ended, "the session was idle for too long")
           : std::move(may).error());
}

void Session::Stop(Error why) {
  if (stop_) return;
  stop_ = std::move(why);
  if (!pending_.empty()) StartCancel();
  server_.stream->Close();
  work_.Set();
  if (vigil_ != nullptr) vigil_->Wake();
  last_words_.SetAfter(kLastWords);
}

void Session::Drain() {
  draining_ = true;
  if (pending_.empty() && (batch_.empty() || vigil_ != nullptr) && status_ == 'I')
    Stop(Error(Errc::draining, "the gateway is shutting down"));
}

void Session::Cancel() {
  if (!pending_.empty()) {
    StartCancel();
  } else if (vigil_ != nullptr) {
    hold_cancelled_ = true;
    vigil_->Wake();
  }
}

void Session::StartCancel() {
  ++cancelling_;
  net::Spawn(executor_, CancelUpstream(shared_from_this()));
}

boost::asio::awaitable<void> Session::CancelUpstream(std::shared_ptr<Session> self) {
  const bool handled =
      co_await SendCancel(self->place_.config.address, self->server_.pid, self->server_.cancel_key);
  // It could hit any statement from here on.
  if (!handled) self->Stop(Error(Errc::upstream_timeout, "a cancel was not answered in time"));
  if (--self->cancelling_ > 0) co_return;
  self->cancelled_.Set();
  if (self->waiting_) self->answered_.Set();
}

/// Nobody is there to read: what runs is cancelled, the backend is ended.
void Session::ClientGone() {
  if (client_gone_) return;
  client_gone_ = true;
  if (!pending_.empty()) StartCancel();
  static constexpr std::string_view kTerminate("X\0\0\0\4", 5);
  net::Pieces bye(kTerminate);
  (void)server_.stream->Start(bye);
  server_.stream->Close();
  work_.Set();
}

AskedAt Session::At(const Settings& settings) const {
  return {.connection = place_.config.name,
          .labels = &place_.config.labels,
          .database = place_.config.address->database,
          .masker = &settings.masker,
          .record_bytes = std::min(front_.options.record_bytes, kStatementBytes)};
}

}  // namespace sallyport::pg
