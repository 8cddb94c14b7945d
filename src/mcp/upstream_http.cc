#include "mcp/upstream_http.h"

#include "mcp/upstream_call.h"
#include "mcp/upstream_http_modern.h"
#include "mcp/upstream_http_session.h"

namespace sallyport::mcp {
namespace {

enum class Era : uint8_t { modern, session };

/// Which eras one server speaks, as far as that has been asked: a property of the server, so all
/// its peers share it.
class HttpEras {
 public:
  explicit HttpEras(std::shared_ptr<HttpWire> wire)
      : wire_(std::move(wire)), turn_(wire_->options().executor) {}

  /// The server as a client of `wanted` should see it.
  Task<UpstreamFace> Describe(Revision wanted, bool fresh) {
    if (fresh) Forget();
    if (const UpstreamFace* known = Known(wanted)) co_return *known;
    const auto limit = wire_->options().describe_timeout;
    SALLYPORT_CO_TRY([[maybe_unused]] Turn::Hold hold, co_await turn_.Take(limit));
    if (const UpstreamFace* known = Known(wanted)) co_return *known;
    if (!modern_ && !session_) no_modern_ = no_session_ = false;
    SALLYPORT_CO_TRY([[maybe_unused]] UpstreamAnswer asked,
                     co_await probes_.Run(probes_.Take(), limit, Probe(wanted)));
    if (const UpstreamFace* known = Known(wanted)) co_return *known;
    co_return Fail(Errc::upstream_protocol,
                   "upstream answers neither server/discover nor initialize");
  }

  /// Which era to speak with it on behalf of a client of `wanted`, if that is known already.
  std::optional<Era> EraFor(Revision wanted) const {
    if (Known(wanted) == nullptr) return std::nullopt;
    const bool same = IsModern(wanted) ? modern_.has_value() : session_.has_value();
    return same == IsModern(wanted) ? Era::modern : Era::session;
  }

  void Learn(const UpstreamFace& session_face) {
    session_ = session_face;
    no_session_ = false;
  }
  void Forget() {
    modern_.reset();
    session_.reset();
    no_modern_ = no_session_ = false;
  }

 private:
  /// The face in the era of `wanted`, or the other one once it is known that there is no better.
  const UpstreamFace* Known(Revision wanted) const {
    const auto& own = IsModern(wanted) ? modern_ : session_;
    const auto& other = IsModern(wanted) ? session_ : modern_;
    const bool none = IsModern(wanted) ? no_modern_ : no_session_;
    if (own) return &*own;
    return none && other ? &*other : nullptr;
  }

  Task<UpstreamAnswer> Probe(Revision wanted) {
    const bool modern_first = IsModern(wanted);
    SALLYPORT_CO_TRY(bool found, modern_first ? co_await TryModern() : co_await TrySession(wanted));
    if (!found) {
      SALLYPORT_CO_TRY(found, modern_first ? co_await TrySession(wanted) : co_await TryModern());
    }
    if (!found) co_return std::unexpected(session_error_);  // what the older way of speaking met
    co_return UpstreamAnswer{};
  }

  /// False: it does not speak this era. An error: it could not be asked.
  Task<bool> TryModern() {
    if (no_modern_) co_return false;
    SALLYPORT_CO_TRY(modern_, co_await ProbeModern(wire_));
    no_modern_ = !modern_.has_value();
    co_return modern_.has_value();
  }
  Task<bool> TrySession(Revision wanted) {
    if (no_session_) co_return false;
    ClientFace nobody;
    nobody.revision = wanted;
    const auto session = std::make_shared<HttpSession>(wire_, std::move(nobody));
    const auto opened = co_await session->Ensure();
    session->Close();
    if (opened) session_ = session->server().face;
    no_session_ = !opened && opened.error().code == Errc::upstream_protocol;
    if (!opened && !no_session_) co_return std::unexpected(opened.error());
    if (no_session_) session_error_ = opened.error();
    co_return opened.has_value();
  }

  std::shared_ptr<HttpWire> wire_;
  Turn turn_;
  CallTable probes_;
  std::optional<UpstreamFace> modern_, session_;
  bool no_modern_ = false, no_session_ = false;
  Error session_error_{Errc::upstream_protocol,
                       "upstream answers neither server/discover nor initialize"};
};

class HttpPeer final : public UpstreamPeer {
 public:
  HttpPeer(std::shared_ptr<HttpWire> wire, std::shared_ptr<HttpEras> eras, ClientFace client)
      : wire_(std::move(wire)),
        eras_(std::move(eras)),
        face_(std::move(client)),
        modern_(wire_),
        talk_(modern_, face_) {
    ++wire_->peers;
  }
  ~HttpPeer() override {
    Close();
    --wire_->peers;
  }

  Task<UpstreamAnswer> Call(const gate::Permit&, UpstreamRequest request,
                            UpstreamEvents& events) override {
    const uint64_t token = calls_.Take();
    return calls_.Run(token, wire_->options().call_timeout, Serve(std::move(request), events));
  }
  void Cancel(uint64_t token) override { calls_.Cancel(token); }
  uint64_t NextToken() const override { return calls_.next(); }

  Task<> Notify(const gate::Permit&, std::string method, std::string params) override {
    SALLYPORT_CO_TRY(const Era era, co_await Choose());
    if (era == Era::modern) co_return Result<>();
    co_return co_await session_->Notify(std::move(method), std::move(params));
  }

  Task<> Listen(const gate::Permit&, std::string filter, UpstreamEvents& events) override {
    const uint64_t token = calls_.Take();
    const auto ended = co_await calls_.Run(token, {}, ServeListen(std::move(filter), events));
    if (!ended)
      co_return std::unexpected(closed_ ? Error(Errc::upstream_closed, "peer closed")
                                        : ended.error());
    co_return Fail(Errc::upstream_closed, "upstream ended the subscription");
  }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    if (session_) session_->Close();
    calls_.CancelAll();
  }

 private:
  Task<UpstreamAnswer> Serve(UpstreamRequest request, UpstreamEvents& events) {
    SALLYPORT_CO_TRY(const Era era, co_await Choose());
    if (era == Era::session) co_return co_await session_->Call(std::move(request), events);
    co_return co_await talk_.Call(std::move(request), events);
  }

  Task<UpstreamAnswer> ServeListen(std::string filter, UpstreamEvents& events) {
    SALLYPORT_CO_TRY(const Era era, co_await Choose());
    if (era == Era::modern) co_return co_await talk_.Listen(std::move(filter), events);
    SALLYPORT_CO_CHECK(co_await session_->Listen(std::move(filter), events));
    co_return UpstreamAnswer{};
  }

  /// The client's own era if the server speaks it. A session client finds that out by opening its
  /// session.
  Task<Era> Choose() {
    if (closed_) co_return Fail(Errc::upstream_closed, "peer closed");
    if (era_) co_return *era_;
    auto era = eras_->EraFor(face_.revision);
    if (!era && !IsModern(face_.revision)) {
      const auto session = Session();
      const auto opened = co_await session->Ensure();
      if (opened) {
        eras_->Learn(session->server().face);
      } else if (opened.error().code != Errc::upstream_protocol) {
        co_return std::unexpected(opened.error());
      }
    }
    if (!era) {
      SALLYPORT_CO_TRY([[maybe_unused]] UpstreamFace face,
                       co_await eras_->Describe(face_.revision, false));
      era = eras_->EraFor(face_.revision);
    }
    if (!era) co_return Fail(Errc::upstream_protocol, "era of the upstream is unknown");
    if (*era == Era::session) Session();
    era_ = era;
    co_return *era;
  }

  std::shared_ptr<HttpSession> Session() {
    if (!session_) session_ = std::make_shared<HttpSession>(wire_, face_);
    return session_;
  }

  std::shared_ptr<HttpWire> wire_;
  std::shared_ptr<HttpEras> eras_;
  ClientFace face_;
  HttpModern modern_;
  ModernTalk talk_;
  std::shared_ptr<HttpSession> session_;
  std::optional<Era> era_;
  bool closed_ = false;
  CallTable calls_;
};

class HttpUpstream final : public McpUpstream {
 public:
  explicit HttpUpstream(HttpUpstreamOptions options)
      : wire_(std::make_shared<HttpWire>(std::move(options))),
        eras_(std::make_shared<HttpEras>(wire_)) {}

  Task<UpstreamFace> Describe(const gate::Permit&, Revision wanted, bool fresh) override {
    return eras_->Describe(wanted, fresh);
  }
  std::unique_ptr<UpstreamPeer> Open(ClientFace client) override {
    return std::make_unique<HttpPeer>(wire_, eras_, std::move(client));
  }
  size_t peers() const override { return wire_->peers; }

 private:
  std::shared_ptr<HttpWire> wire_;
  std::shared_ptr<HttpEras> eras_;
};

}  // namespace

std::unique_ptr<McpUpstream> MakeHttpUpstream(HttpUpstreamOptions options) {
  return std::make_unique<HttpUpstream>(std::move(options));
}

}  // namespace sallyport::mcp
