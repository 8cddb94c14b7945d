#include "mcp/upstream_peer.h"

#include "json/document.h"
#include "obs/metrics.h"

namespace sallyport::mcp {

void CountStray(std::string_view name) {
  static auto& strays =
      obs::Metrics().counters("sallyport_mcp_upstream_strays_total",
                              "Messages of an upstream that belonged to no request.", {"server"});
  strays.With({name}).Add();
}

Task<> SubscribeTo(UpstreamSession& session, std::string filter) {
  if (filter.empty()) co_return Result<>();
  const auto doc = json::Document::Parse(filter);
  if (!doc) co_return Fail(Errc::request_malformed, "filter of the subscription");
  NoEvents none;
  const json::Value uris = doc->root()["resourceSubscriptions"];
  for (auto uri = uris.at(0); uri; uri = uri.next()) {
    UpstreamRequest subscribe{
        "resources/subscribe", R"({"uri":)" + std::string(uri.raw()) + "}", {}, {}};
    SALLYPORT_CO_TRY([[maybe_unused]] UpstreamAnswer ignored,
                     co_await session.Call(std::move(subscribe), none));
  }
  co_return Result<>();
}

Task<UpstreamFace> UpstreamEras::Describe(Revision wanted, bool fresh,
                                          std::shared_ptr<const op::Session> caller) {
  if (fresh) Forget();
  if (const UpstreamFace* known = Known(wanted)) co_return *known;
  SALLYPORT_CO_TRY([[maybe_unused]] Turn::Hold hold, co_await turn_.Take(limit_));
  if (const UpstreamFace* known = Known(wanted)) co_return *known;
  const auto asked = co_await probes_.Run(probes_.Take(), limit_, Probe(wanted, std::move(caller)));
  if (const UpstreamFace* known = Known(wanted)) co_return *known;
  Forget();  // what has failed is asked again next time
  co_return std::unexpected(asked ? session_error_ : asked.error());
}

std::optional<UpstreamEras::Era> UpstreamEras::EraFor(Revision wanted) const {
  if (Known(wanted) == nullptr) return std::nullopt;
  if (IsModern(wanted)) return modern_ ? Era::modern : Era::session;
  return session_ ? Era::session : Era::modern;
}

void UpstreamEras::Learn(const UpstreamFace& session_face) {
  session_ = session_face;
  no_session_ = false;
}

void UpstreamEras::LearnNoSession(Error why) {
  session_.reset();
  no_session_ = true;
  session_error_ = std::move(why);
}

void UpstreamEras::Forget() {
  modern_.reset();
  session_.reset();
  no_modern_ = no_session_ = false;
}

/// The face in the era of `wanted`, or the other one once it is known that there is no better.
const UpstreamFace* UpstreamEras::Known(Revision wanted) const {
  const auto& own = IsModern(wanted) ? modern_ : session_;
  const auto& other = IsModern(wanted) ? session_ : modern_;
  const bool none = IsModern(wanted) ? no_modern_ : no_session_;
  if (own) return &*own;
  return none && other ? &*other : nullptr;
}

Task<UpstreamAnswer> UpstreamEras::Probe(Revision wanted,
                                         std::shared_ptr<const op::Session> caller) {
  const bool modern_first = IsModern(wanted);
  SALLYPORT_CO_TRY(bool found,
                   modern_first ? co_await TryModern(caller) : co_await TrySession(wanted, caller));
  if (!found) {
    SALLYPORT_CO_TRY(
        found, modern_first ? co_await TrySession(wanted, caller) : co_await TryModern(caller));
  }
  if (!found) co_return std::unexpected(session_error_);  // what the older way of speaking met
  co_return UpstreamAnswer{};
}

/// False: it does not speak this era. An error: it could not be asked.
Task<bool> UpstreamEras::TryModern(std::shared_ptr<const op::Session> caller) {
  if (no_modern_) co_return false;
  SALLYPORT_CO_TRY(modern_, co_await ProbeModern(std::move(caller)));
  no_modern_ = !modern_.has_value();
  co_return modern_.has_value();
}

Task<bool> UpstreamEras::TrySession(Revision wanted, std::shared_ptr<const op::Session> caller) {
  if (no_session_) co_return false;
  auto face = co_await ProbeSession(wanted, std::move(caller));
  if (face) {
    session_ = std::move(*face);
    co_return true;
  }
  if (face.error().code != Errc::upstream_protocol) co_return std::unexpected(face.error());
  LearnNoSession(face.error());
  co_return false;
}

namespace {

using Era = UpstreamEras::Era;

/// What a peer is while somebody holds it or a call runs in it.
class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(PeerParts parts, ClientFace client)
      : parts_(std::move(parts)),
        face_(std::move(client)),
        talk_(*parts_.modern, face_),
        turn_(parts_.executor) {}

  CallTable calls;

  Task<UpstreamAnswer> Call(uint64_t token, UpstreamRequest request, UpstreamEvents& events);
  Task<> Notify(std::string method, std::string params);
  Task<> Listen(uint64_t token, std::string filter, UpstreamEvents& events);
  void Close();

 private:
  Task<UpstreamAnswer> Serve(UpstreamRequest request, UpstreamEvents& events);
  Task<UpstreamAnswer> ServeListen(std::string filter, UpstreamEvents& events);
  Task<Era> Choose();
  std::shared_ptr<UpstreamSession> Session();

  PeerParts parts_;
  ClientFace face_;
  ModernTalk talk_;
  Turn turn_;  // of finding out the era
  std::shared_ptr<UpstreamSession> session_;
  std::optional<Era> era_;
  bool closed_ = false;
};

void Conversation::Close() {
  if (closed_) return;
  closed_ = true;
  if (session_) session_->Close();
  calls.CancelAll();
}

Task<UpstreamAnswer> Conversation::Call(uint64_t token, UpstreamRequest request,
                                        UpstreamEvents& events) {
  const auto self = shared_from_this();
  auto answer = co_await calls.Run(token, parts_.call_timeout, Serve(std::move(request), events));
  if (!answer && answer.error().code == Errc::upstream_timeout) {
    if (era_ == Era::session && session_) session_->TimedOut(parts_.call_timeout);
    if (era_ == Era::modern) parts_.modern->TimedOut(parts_.call_timeout);
  }
  // The server may have been replaced by one of another era: ask again before the next call.
  const bool doubt = answer ? answer->error && answer->json.find("-32022") != std::string::npos
                            : answer.error().code == Errc::upstream_protocol;
  if (doubt) {
    parts_.eras->Forget();
    era_.reset();
  }
  co_return answer;
}

Task<UpstreamAnswer> Conversation::Serve(UpstreamRequest request, UpstreamEvents& events) {
  SALLYPORT_CO_TRY(const Era era, co_await Choose());
  if (era == Era::session) co_return co_await session_->Call(std::move(request), events);
  co_return co_await talk_.Call(std::move(request), events);
}

Task<> Conversation::Notify(std::string method, std::string params) {
  const auto self = shared_from_this();
  if (method == "notifications/initialized" || method == "notifications/cancelled")
    co_return Result<>();
  SALLYPORT_CO_TRY(const Era era, co_await Choose());
  if (era == Era::modern) co_return Result<>();
  co_return co_await session_->Notify(std::move(method), std::move(params));
}

Task<> Conversation::Listen(uint64_t token, std::string filter, UpstreamEvents& events) {
  const auto self = shared_from_this();
  const auto ended = co_await calls.Run(token, {}, ServeListen(std::move(filter), events));
  if (!ended)
    co_return std::unexpected(closed_ ? Error(Errc::upstream_closed, "peer closed")
                                      : ended.error());
  co_return Fail(Errc::upstream_closed, "upstream ended the subscription");
}

Task<UpstreamAnswer> Conversation::ServeListen(std::string filter, UpstreamEvents& events) {
  SALLYPORT_CO_TRY(const Era era, co_await Choose());
  if (era == Era::modern) co_return co_await talk_.Listen(std::move(filter), events);
  SALLYPORT_CO_CHECK(co_await session_->Listen(std::move(filter), events));
  co_return UpstreamAnswer{};
}

/// The client's own era if the server speaks it. A session client finds that out by opening its
/// session.
Task<Era> Conversation::Choose() {
  if (closed_) co_return Fail(Errc::upstream_closed, "peer closed");
  if (era_) co_return *era_;
  SALLYPORT_CO_TRY([[maybe_unused]] Turn::Hold hold, co_await turn_.Take(parts_.call_timeout));
  if (era_) co_return *era_;
  const auto eras = parts_.eras;
  if (!eras->EraFor(face_.revision) && !IsModern(face_.revision)) {
    const auto session = Session();
    const auto opened = co_await session->Ensure();
    if (opened) {
      eras->Learn(session->server().face);
    } else if (opened.error().code != Errc::upstream_protocol) {
      co_return std::unexpected(opened.error());
    } else {
      eras->LearnNoSession(opened.error());
    }
  }
  auto era = eras->EraFor(face_.revision);
  if (!era) {
    SALLYPORT_CO_TRY([[maybe_unused]] UpstreamFace face,
                     co_await eras->Describe(face_.revision, false, face_.caller));
    era = eras->EraFor(face_.revision);
  }
  if (closed_) co_return Fail(Errc::upstream_closed, "peer closed");
  if (!era) co_return Fail(Errc::upstream_protocol, "era of the upstream is unknown");
  if (*era == Era::session) Session();
  if (*era == Era::modern && session_) session_->Close(), session_.reset();
  era_ = era;
  co_return *era;
}

std::shared_ptr<UpstreamSession> Conversation::Session() {
  if (!session_) session_ = parts_.open_session(face_);
  return session_;
}

class Peer final : public UpstreamPeer {
 public:
  Peer(PeerParts parts, ClientFace client)
      : count_(parts.count),
        it_(std::make_shared<Conversation>(std::move(parts), std::move(client))) {
    ++*count_;
  }
  ~Peer() override {
    it_->Close();
    --*count_;
  }

  Task<UpstreamAnswer> Call(const gate::Permit&, UpstreamRequest request,
                            UpstreamEvents& events) override {
    return it_->Call(it_->calls.Take(), std::move(request), events);
  }
  void Cancel(uint64_t token) override { it_->calls.Cancel(token); }
  uint64_t NextToken() const override { return it_->calls.next(); }
  Task<> Notify(const gate::Permit&, std::string method, std::string params) override {
    return it_->Notify(std::move(method), std::move(params));
  }
  Task<> Listen(const gate::Permit&, std::string filter, UpstreamEvents& events) override {
    return it_->Listen(it_->calls.Take(), std::move(filter), events);
  }
  void Close() override { it_->Close(); }

 private:
  std::shared_ptr<size_t> count_;
  std::shared_ptr<Conversation> it_;
};

Task<UpstreamFace> DescribeWith(std::shared_ptr<UpstreamEras> eras, Revision wanted, bool fresh,
                                std::shared_ptr<const op::Session> caller) {
  co_return co_await eras->Describe(wanted, fresh, std::move(caller));
}

}  // namespace

std::unique_ptr<UpstreamPeer> MakePeer(PeerParts parts, ClientFace client) {
  return std::make_unique<Peer>(std::move(parts), std::move(client));
}

Task<UpstreamFace> BridgedUpstream::Describe(const gate::Permit& permit, Revision wanted,
                                             bool fresh) {
  return DescribeWith(parts_.eras, wanted, fresh, permit.shared_session());
}

}  // namespace sallyport::mcp
