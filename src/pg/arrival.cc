#include "pg/arrival.h"

#include <algorithm>
#include <expected>
#include <string_view>
#include <utility>

#include "net/tls.h"
#include "pg/client_auth.h"
#include "pg/frame.h"
#include "pg/oauthbearer.h"

namespace sallyport::pg {
namespace {

using net::Stream;
using net::TimePoint;

constexpr char kTlsHandshake = 0x16;  // the first byte of a TLS record that begins one
constexpr std::chrono::milliseconds kLastWords{1'000};
constexpr std::chrono::seconds kVerifyLimit{5};
constexpr size_t kMessageRoom = FrameHead::kSize + kMaxAuthMessage + 1;

/// A connection that gets no further.
struct Failed {
  Refusal refusal;
  bool answer = true;
  bool report = true;
};
template <class T = void>
using Step = boost::asio::awaitable<std::expected<T, Failed>>;

std::unexpected<Failed> Refused(Refusal refusal) {
  return std::unexpected(Failed{std::move(refusal)});
}

/// The peer has gone, or never said what it came for: nobody to answer and nothing to record.
std::unexpected<Failed> Vanished(std::string detail) {
  Failed failed;
  failed.refusal.error = Error(Errc::io_failed, std::move(detail));
  failed.answer = failed.report = false;
  return std::unexpected(std::move(failed));
}

std::unexpected<Failed> Violated(const char* sqlstate, Errc code, std::string message,
                                 std::string detail = {}) {
  Error error(code, message);
  return Refused({std::move(error), sqlstate, std::move(message), std::move(detail), {}});
}

std::unexpected<Failed> TooLate() {
  Refusal refusal;
  refusal.error = Error(Errc::token_missing, "no credential came before the login deadline");
  refusal.sqlstate = "57014";
  refusal.message = "canceling authentication due to timeout";
  return Refused(std::move(refusal));
}

#define STEP_TRY(decl, ...) SALLYPORT_CO_TRY(decl, __VA_ARGS__)
#define STEP_CHECK(...) \
  if (auto step = (__VA_ARGS__); !step) co_return std::unexpected(std::move(step).error())

/// One connection until its caller is known. Lives in the frame of Receive.
class Door {
 public:
  Door(std::shared_ptr<Stream> stream, const std::string& address, const ArrivalOptions& options)
      : stream_(std::move(stream)),
        address_(address),
        options_(options),
        until_(std::chrono::steady_clock::now() + options.login_deadline) {}

  Step<std::variant<Arrival, CancelRequest>> Open();
  /// Once; with the database as far as it is known.
  void Report(const Error& error) {
    if (options_.on_refused && !std::exchange(reported_, true))
      options_.on_refused(address_, error, database_);
  }

 private:
  Step<> DirectTls();
  Step<> StartTls(Stream::Ahead ahead);
  Step<std::variant<StartupRequest, CancelRequest>> FirstWords();
  Step<std::string_view> Packet();
  Step<> Encryption(bool& asked, bool offered);
  Step<std::string_view> AuthMessage();
  Step<identity::VerifiedPtr> ByCertificate(const StartupRequest& request);
  Step<identity::VerifiedPtr> AskPassword(const StartupRequest& request);
  Step<identity::VerifiedPtr> AskOAuth(const StartupRequest& request);
  Step<identity::VerifiedPtr> Challenge(Failed why);
  Task<identity::VerifiedPtr> Verify(std::string_view token, const std::string& database);
  Step<> Say(std::string_view bytes);

  const std::shared_ptr<Stream> stream_;
  const std::string& address_;
  const ArrivalOptions& options_;
  const TimePoint until_;
  std::string database_;
  size_t taken_ = 0;  // of data(), by the message that was returned last
  bool reported_ = false;
};

Step<> Door::Say(std::string_view bytes) {
  const auto now = std::chrono::steady_clock::now();
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - now);
  const auto sent = co_await stream_->Finish(net::Pieces(bytes), std::max(left, kLastWords));
  if (!sent) co_return Vanished(sent.error().detail);
  co_return std::expected<void, Failed>();
}

Step<> Door::StartTls(Stream::Ahead ahead) {
  auto engine = net::TlsEngine::Server(net::CurrentContext(*options_.tls).get(),
                                       net::TlsEngine::Protocol::postgresql);
  if (auto started = stream_->StartTls(std::move(engine), ahead); !started)
    co_return Violated("08P01", started.error().code,
                       "received unencrypted data after SSL request");
  if (const Result<> shaken = co_await stream_->Handshake(until_); !shaken) {
    auto failed = Vanished("TLS: " + shaken.error().detail);
    // A peer that leaves is none of our business; one that speaks other versions, suites or
    // protocols is.
    failed.error().report = !stream_->ended() && shaken.error().code == Errc::io_failed;
    co_return failed;
  }
  co_return std::expected<void, Failed>();
}

/// PostgreSQL 17: TLS without asking. Only a client that names the protocol can mean us, else bytes
/// meant for another service could be turned towards this one (the ALPACA attacks).
Step<> Door::DirectTls() {
  if (!options_.tls) {
    auto failed = Vanished("direct TLS without TLS being configured");
    failed.error().report = true;
    co_return failed;
  }
  STEP_CHECK(co_await StartTls(Stream::Ahead::sealed));
  if (stream_->tls_engine()->protocol() != "postgresql")
    co_return Violated(
        "08P01", Errc::request_malformed,
        "received direct SSL connection request without ALPN protocol negotiation extension");
  co_return std::expected<void, Failed>();
}

/// The next startup packet, whole and not consumed.
Step<std::string_view> Door::Packet() {
  for (;;) {
    const std::string_view data = stream_->data();
    if (data.size() >= 4) {
      const uint32_t length = Load32(data.data());
      // PostgreSQL bounds what follows the length.
      if (length < 8 || length > kMaxStartup + 4)
        co_return Violated("08P01", Errc::request_malformed, "invalid length of startup packet");
      if (data.size() >= length) co_return data.substr(0, length);
    }
    const Stream::Got got = co_await stream_->More(until_, true);
    if (got == Stream::Got::timeout) co_return Vanished("no startup packet in time");
    if (got == Stream::Got::ended) co_return Vanished("the client left before its startup packet");
  }
}

/// Answers a request for encryption, each of which may come once and only before any is on.
Step<> Door::Encryption(bool& asked, bool offered) {
  if (std::exchange(asked, true) || stream_->tls())
    co_return Violated("0A000", Errc::version_unsupported,
                       "a request for encryption may come once only, before it is on");
  if (!stream_->data().empty())
    co_return Violated("08P01", Errc::request_malformed,
                       "received unencrypted data after SSL request",
                       "This could be either a client-software bug or evidence of an attempted "
                       "man-in-the-middle attack.");
  STEP_CHECK(co_await Say(offered ? "S" : "N"));
  if (offered) STEP_CHECK(co_await StartTls(Stream::Ahead::refuse));
  co_return std::expected<void, Failed>();
}

Step<std::variant<StartupRequest, CancelRequest>> Door::FirstWords() {
  bool ssl_asked = false, gss_asked = false, first = true;
  for (;;) {
    while (stream_->data().empty()) {
      const Stream::Got got = co_await stream_->More(until_, true);
      if (got == Stream::Got::timeout) co_return Vanished("silent");
      if (got == Stream::Got::ended) co_return Vanished("the client left without a word");
    }
    if (std::exchange(first, false) && stream_->data()[0] == kTlsHandshake) {
      STEP_CHECK(co_await DirectTls());
      continue;
    }
    STEP_TRY(const std::string_view packet, co_await Packet());
    auto parsed = ParseFirstPacket(packet);
    if (!parsed) co_return Refused(std::move(parsed.error()));
    stream_->Consume(packet.size());
    if (std::holds_alternative<SslRequest>(*parsed)) {
      STEP_CHECK(co_await Encryption(ssl_asked, options_.tls != nullptr));
    } else if (std::holds_alternative<GssRequest>(*parsed)) {
      STEP_CHECK(co_await Encryption(gss_asked, false));
    } else if (auto* cancel = std::get_if<CancelRequest>(&*parsed)) {
      co_return std::move(*cancel);
    } else {
      co_return std::get<StartupRequest>(std::move(*parsed));
    }
  }
}

/// The body of the client's next answer, valid until the next call.
Step<std::string_view> Door::AuthMessage() {
  stream_->Consume(std::exchange(taken_, 0));
  stream_->SetRoom(kMessageRoom);
  for (;;) {
    const std::string_view data = stream_->data();
    if (!data.empty() && data[0] != 'p')
      co_return Violated("08P01", Errc::request_malformed,
                         "expected password response, got message type " +
                             std::to_string(static_cast<unsigned char>(data[0])));
    if (const auto head = PeekHead(data)) {
      if (head->length < 4 || head->body() > kMaxAuthMessage + 1)
        co_return Violated("08P01", Errc::request_malformed, "invalid message length");
      if (data.size() >= head->total()) {
        taken_ = head->total();
        co_return data.substr(FrameHead::kSize, head->body());
      }
    }
    const Stream::Got got = co_await stream_->More(until_, true);
    if (got == Stream::Got::timeout) co_return TooLate();
    // What libpq does to ask its user for a password.
    if (got == Stream::Got::ended) co_return Vanished("the client left without a credential");
  }
}

Task<identity::VerifiedPtr> Door::Verify(std::string_view token, const std::string& database) {
  const std::string resource = options_.resource.empty() ? "" : options_.resource + database;
  if (auto known = options_.verifier->Known(token, resource)) co_return known;
  if (options_.may_read) {
    if (Result<> may = options_.may_read(address_, database); !may) {
      reported_ = true;
      co_return std::unexpected(std::move(may.error()));
    }
  }
  const TimePoint limit = std::min(until_, std::chrono::steady_clock::now() + kVerifyLimit);
  co_return co_await options_.verifier->Authenticate(std::string(token), limit, resource);
}

/// The agent that the certificate of this connection is configured for, if the client calls itself
/// by that agent's name; null: a token is asked for. A driver shows whatever certificate it finds
/// at home, so that a certificate alone says nothing of whom the client means to be.
Step<identity::VerifiedPtr> Door::ByCertificate(const StartupRequest& request) {
  if (!stream_->tls() || request.method != LoginMethod::password) co_return nullptr;
  const auto proof = stream_->tls_engine()->ClientProof();
  if (!proof) co_return nullptr;
  auto agent = options_.verifier->ByCertificate(*proof);
  if (!agent && agent.error().code == Errc::token_missing) co_return nullptr;
  if (!agent) co_return Refused(RefuseToken(std::move(agent.error()), LoginMethod::password));
  if ((*agent)->principal.agent != request.startup.user) co_return nullptr;
  co_return std::move(*agent);
}

Step<identity::VerifiedPtr> Door::AskPassword(const StartupRequest& request) {
  STEP_TRY(const std::string_view body, co_await AuthMessage());
  const auto token = ParsePassword(body);
  if (!token) co_return Refused(token.error());
  auto verified = co_await Verify(*token, request.startup.database);
  if (!verified) co_return Refused(RefuseToken(std::move(verified.error()), LoginMethod::password));
  co_return std::move(*verified);
}

Step<identity::VerifiedPtr> Door::AskOAuth(const StartupRequest& request) {
  STEP_TRY(std::string_view body, co_await AuthMessage());
  const auto initial = ParseSaslInitial(body);
  if (!initial) co_return Refused(initial.error());
  std::string_view response;
  if (*initial) {
    response = **initial;
  } else {
    std::string empty;
    AppendSaslContinue(empty, {});
    STEP_CHECK(co_await Say(empty));
    STEP_TRY(response, co_await AuthMessage());
  }
  const auto parsed = ParseOAuthBearer(response);
  if (!parsed)
    co_return Refused(RefuseOAuthMessage(parsed.error().sqlstate, parsed.error().detail));
  Failed failed;
  if (!parsed->token.empty()) {
    auto verified = co_await Verify(parsed->token, request.startup.database);
    if (verified) co_return std::move(*verified);
    failed.refusal = RefuseToken(std::move(verified.error()), LoginMethod::oauthbearer);
  } else {
    failed.report = !parsed->discovery;
    failed.refusal =
        RefuseToken(Error(parsed->discovery ? Errc::token_missing : Errc::token_malformed),
                    LoginMethod::oauthbearer);
  }
  co_return co_await Challenge(std::move(failed));
}

/// Says where tokens come from, and hears the one answer there is to that.
Step<identity::VerifiedPtr> Door::Challenge(Failed why) {
  // At once: a client that never answers is recorded too.
  if (why.report) Report(why.refusal.error);
  std::string challenge;
  AppendSaslContinue(challenge, OAuthBearerChallenge(options_.issuer_metadata, options_.scope));
  STEP_CHECK(co_await Say(challenge));
  STEP_TRY(const std::string_view answer, co_await AuthMessage());
  if (answer != "\x01")
    co_return Refused(RefuseOAuthMessage("08P01", "Client did not send a kvsep response."));
  co_return std::unexpected(std::move(why));
}

Step<std::variant<Arrival, CancelRequest>> Door::Open() {
  STEP_TRY(auto words, co_await FirstWords());
  if (auto* cancel = std::get_if<CancelRequest>(&words)) co_return std::move(*cancel);
  auto& request = std::get<StartupRequest>(words);
  database_ = request.startup.database;
  std::string out;
  if (request.negotiate) AppendNegotiation(out, request);
  if (!stream_->tls() && !options_.plain_password) {
    if (!out.empty()) STEP_CHECK(co_await Say(out));
    co_return Refused(RefusePlain(options_.tls != nullptr));
  }
  STEP_TRY(identity::VerifiedPtr who, co_await ByCertificate(request));
  const bool password = request.method == LoginMethod::password;
  if (!who) password ? AppendPasswordRequest(out) : AppendSaslRequest(out);
  if (!out.empty()) STEP_CHECK(co_await Say(out));
  if (!who) {
    STEP_TRY(who, password ? co_await AskPassword(request) : co_await AskOAuth(request));
  }
  if (!MayBeCalled(who->principal, request.startup.user))
    co_return Refused(RefuseName(request.startup.user));
  stream_->Consume(std::exchange(taken_, 0));
  Arrival arrival;
  arrival.stream = stream_;
  arrival.startup = std::move(request.startup);
  arrival.tls = stream_->tls();
  arrival.who = std::move(who);
  co_return std::move(arrival);
}

#undef STEP_TRY
#undef STEP_CHECK

}  // namespace

Task<std::variant<Arrival, CancelRequest>> Receive(std::shared_ptr<Stream> stream,
                                                   std::string address,
                                                   const ArrivalOptions& options) {
  Door door(stream, address, options);
  auto opened = co_await door.Open();
  if (opened) {
    if (auto* arrival = std::get_if<Arrival>(&*opened)) arrival->address = std::move(address);
    co_return std::move(*opened);
  }
  Failed& failed = opened.error();
  if (failed.report) door.Report(failed.refusal.error);
  if (failed.answer) {
    std::string fatal;
    AppendFatal(fatal, failed.refusal);
    if (co_await stream->Finish(net::Pieces(fatal), kLastWords))
      co_await stream->Linger(kLastWords);
  }
  stream->Close();
  co_return std::unexpected(std::move(failed.refusal.error));
}

}  // namespace sallyport::pg
