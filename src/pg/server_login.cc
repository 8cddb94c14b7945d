#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <optional>

#include "pg/frame.h"
#include "pg/own_backends.h"
#include "pg/scram.h"
#include "pg/server.h"
#include "pg/server_wire.h"

namespace sallyport::pg {
namespace {

constexpr uint32_t kProtocol3 = 3 << 16;
// As libpq: what is longer during a login is not from PostgreSQL.
constexpr size_t kMaxLoginMessage = 64 << 10;
constexpr size_t kMaxParameters = 1000;
constexpr size_t kMaxNotices = 100;
constexpr size_t kMaxCancelKey = 256;  // protocol 3.2

enum Auth : uint32_t {
  kOk = 0,
  kCleartext = 3,
  kMd5 = 5,
  kSasl = 10,
  kSaslContinue = 11,
  kSaslFinal = 12,
};

/// What a text means depends on these; a session that has other values is not one we can judge.
constexpr std::pair<std::string_view, std::string_view> kPins[] = {
    {"client_encoding", "UTF8"},
    {"standard_conforming_strings", "on"},
};

bool IsPinned(std::string_view name) {
  return std::ranges::any_of(kPins,
                             [&](const auto& pin) { return boost::iequals(pin.first, name); });
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

/// One login: the conversation between the startup packet and the first ReadyForQuery.
class Login {
 public:
  Login(const ServerAddress& address, ServerLogin& login, TimePoint until)
      : address_(address), login_(login), until_(until), minor_(address.protocol_minor) {}

  Task<Server> Run();

 private:
  Result<std::string> StartupPacket() const;
  Task<bool> Take(ServerMessage message);  // true: ready
  Task<> Authenticate(std::string_view body);
  Task<> StartSasl(BodyReader mechanisms);
  Result<> CheckAllowed(const char* method) const;
  Result<> KeepKey(std::string_view body);
  Result<> Negotiated(std::string_view body);
  Result<> CheckPins() const;
  Error Refused(std::string_view body) const;
  Task<> Answer(std::string_view text, bool with_nul);
  bool private_channel() const { return server_.stream->tls() || address_.host.starts_with('/'); }

  const ServerAddress& address_;
  ServerLogin& login_;
  const TimePoint until_;
  Server server_;
  std::optional<ScramClient> scram_;
  bool asked_ = false;  // for a credential
  bool authenticated_ = false;
  uint32_t minor_;  // of the protocol, as far as it is agreed on
};

std::unexpected<Error> Nonsense(const char* what) {
  return Fail(Errc::upstream_protocol, std::string("login: ") + what);
}

Result<std::string> Login::StartupPacket() const {
  std::string packet;
  MessageWriter writer(packet);
  writer.Begin(0).U32(kProtocol3 | address_.protocol_minor);
  const auto put = [&](std::string_view name, std::string_view value) {
    writer.CString(name).CString(value);
  };
  if (login_.user.empty() || HasNul(login_.user) || HasNul(address_.database))
    return Fail(Errc::config_invalid, "the server's user or database name");
  put("user", login_.user);
  put("database", address_.database);
  for (const auto& [name, value] : login_.startup) {
    if (IsPinned(name)) continue;
    if (name.empty() || HasNul(name) || HasNul(value) || name == "user" || name == "database" ||
        name == "replication" || name.starts_with("_pq_."))
      return Fail(Errc::request_malformed, "a startup parameter that cannot be passed on");
    put(name, value);
  }
  for (const auto& [name, value] : kPins) put(name, value);
  writer.U8(0).End();
  if (packet.size() > kMaxStartup)
    return Fail(Errc::request_too_large, "startup parameters for the server");
  return packet;
}

Task<Server> Login::Run() {
  SALLYPORT_CO_TRY(const std::string packet, StartupPacket());
  SALLYPORT_CO_TRY(server_.stream, co_await Reach(address_, until_));
  server_.local_port = server_.stream->local_port();
  server_.own = OwnBackends::OfProcess().Begin(server_.local_port);
  SALLYPORT_CO_CHECK(co_await SendAll(*server_.stream, packet, until_));
  MessageReader reader(*server_.stream, "login");
  for (;;) {
    SALLYPORT_CO_TRY(const ServerMessage message, co_await reader.Next(until_, kMaxLoginMessage));
    SALLYPORT_CO_TRY(const bool ready, co_await Take(message));
    if (ready) break;
  }
  reader.Done();
  SALLYPORT_CO_CHECK(CheckPins());
  co_return std::move(server_);
}

Task<bool> Login::Take(ServerMessage message) {
  switch (message.type) {
    case 'R':
      SALLYPORT_CO_CHECK(co_await Authenticate(message.body));
      co_return false;
    case 'E':
      co_return std::unexpected(Refused(message.body));
    case 'N':
      if (server_.notices.size() < kMaxNotices) {
        std::string& notice = server_.notices.emplace_back();
        MessageWriter(notice).Begin('N').Bytes(message.body).End();
      }
      co_return false;
    case 'v':
      SALLYPORT_CO_CHECK(Negotiated(message.body));
      co_return false;
    default:
      break;
  }
  if (!authenticated_) co_return Nonsense("the server sent something before authentication");
  switch (message.type) {
    case 'S':
      if (server_.parameters.size() >= kMaxParameters || !KeepParameter(server_, message.body))
        co_return Nonsense("a malformed parameter");
      co_return false;
    case 'K':
      SALLYPORT_CO_CHECK(KeepKey(message.body));
      co_return false;
    case 'Z':
      if (message.body != "I") co_return Nonsense("the server is not ready at its start");
      co_return true;
    default:
      co_return Nonsense("the server sent a message that has no place there");
  }
}

Task<> Login::Authenticate(std::string_view body) {
  BodyReader reader(body);
  const uint32_t kind = reader.U32();
  if (reader.failed() || authenticated_) co_return Nonsense("a malformed request to authenticate");
  if (kind == kOk) {
    if (!reader.done()) co_return Nonsense("a malformed request to authenticate");
    // A SCRAM exchange that stops before the server has proved itself proves nothing.
    if (scram_ && !scram_->verified())
      co_return Fail(Errc::upstream_login_failed, "SCRAM: the server did not prove itself");
    authenticated_ = true;
    co_return Result<>();
  }
  if (kind == kSaslContinue && scram_) {
    SALLYPORT_CO_TRY(const std::string final, scram_->Final(reader.rest()));
    co_return co_await Answer(final, false);
  }
  if (kind == kSaslFinal && scram_) co_return scram_->Verify(reader.rest());
  if (asked_) co_return Nonsense("the server asks for a credential twice");
  asked_ = true;
  if (kind == kSasl) co_return co_await StartSasl(reader);
  if (kind == kMd5) {
    const std::string_view salt = reader.Bytes(4);
    if (!reader.done()) co_return Nonsense("a malformed request for MD5");
    SALLYPORT_CO_CHECK(CheckAllowed("md5"));
    SALLYPORT_CO_TRY(const std::string answer,
                     Md5Answer(login_.password.Reveal(), login_.user, salt));
    co_return co_await Answer(answer, true);
  }
  if (kind == kCleartext) {
    SALLYPORT_CO_CHECK(CheckAllowed("password"));
    if (!private_channel())
      co_return Fail(Errc::upstream_login_failed,
                     "the server asks for the password in clear text without TLS");
    co_return co_await Answer(login_.password.Reveal(), true);
  }
  co_return Fail(Errc::upstream_login_failed,
                 "the server asks for a way to authenticate that is not supported");
}

Result<> Login::CheckAllowed(const char* method) const {
  if (login_.password.empty() || HasNul(login_.password.Reveal()))
    return Fail(Errc::upstream_login_failed,
                std::string("the server asks for a password (") + method + "), there is none");
  return {};
}

Task<> Login::StartSasl(BodyReader mechanisms) {
  bool plain = false, plus = false;
  for (;;) {
    const std::string_view name = mechanisms.CString();
    if (mechanisms.failed()) co_return Nonsense("a malformed list of SASL mechanisms");
    if (name.empty()) break;
    plain |= name == "SCRAM-SHA-256";
    plus |= name == "SCRAM-SHA-256-PLUS";
  }
  SALLYPORT_CO_CHECK(CheckAllowed("scram-sha-256"));
  const auto* tls = server_.stream->tls_engine();
  // An offer to bind a channel that is not there: somebody between us and the server ends its TLS.
  if (plus && tls == nullptr) co_return Nonsense("channel binding is offered without TLS");
  const std::string hash = tls != nullptr ? tls->PeerCertificateHash() : std::string();
  const bool bind = plus && !hash.empty();
  if (!bind && !plain)
    co_return Fail(Errc::upstream_login_failed, "the server offers no SASL mechanism we speak");
  using Binding = ScramClient::Binding;
  const Binding binding = bind                     ? Binding::end_point
                          : !hash.empty() && !plus ? Binding::not_offered
                                                   : Binding::none;
  scram_.emplace(login_.password, binding, hash);
  const std::string first = scram_->First();
  std::string packet;
  MessageWriter(packet)
      .Begin('p')
      .CString(bind ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256")
      .U32(static_cast<uint32_t>(first.size()))
      .Bytes(first)
      .End();
  co_return co_await SendAll(*server_.stream, packet, until_);
}

Task<> Login::Answer(std::string_view text, bool with_nul) {
  std::string packet;
  MessageWriter writer(packet);
  writer.Begin('p').Bytes(text);
  if (with_nul) writer.U8(0);
  writer.End();
  auto sent = co_await SendAll(*server_.stream, packet, until_);
  explicit_bzero(packet.data(), packet.size());
  co_return sent;
}

Result<> Login::KeepKey(std::string_view body) {
  BodyReader reader(body);
  server_.pid = reader.U32();
  OwnBackends::Named(server_.own, server_.pid);
  server_.cancel_key = reader.rest();
  const size_t size = server_.cancel_key.size();
  if (reader.failed() || (minor_ < 2 ? size != 4 : size < 4 || size > kMaxCancelKey))
    return Nonsense("a malformed cancel key");
  return {};
}

/// PostgreSQL answers a minor version that it does not know with its newest.
Result<> Login::Negotiated(std::string_view body) {
  BodyReader reader(body);
  uint32_t minor = reader.U32();
  const uint32_t options = reader.U32();
  if (minor >> 16 == 3) minor &= 0xffff;  // servers since 18 send the whole version
  if (!reader.done() || authenticated_ || options != 0 || minor >= minor_)
    return Nonsense("a malformed negotiation of the protocol");
  minor_ = minor;
  return {};
}

Result<> Login::CheckPins() const {
  for (const auto& [name, value] : kPins) {
    const std::string* now = server_.Parameter(name);
    if (now == nullptr || *now != value)
      return Fail(Errc::upstream_protocol, "the server does not keep " + std::string(name));
  }
  return {};
}

Error Login::Refused(std::string_view body) const {
  const ServerError error = ReadError(body);
  return Error(Errc::upstream_login_failed, error.sqlstate + ": " + error.message);
}

}  // namespace

Task<Server> LogIn(const ServerAddress& address, ServerLogin login) {
  const TimePoint until = std::chrono::steady_clock::now() + address.connect_timeout;
  Login session(address, login, until);
  auto server = co_await session.Run();
  if (!server && server.error().code == Errc::upstream_login_failed && login.refused)
    login.refused();
  if (!server && server.error().code == Errc::upstream_closed)
    co_return Fail(Errc::upstream_unreachable, server.error().detail);
  co_return server;
}

}  // namespace sallyport::pg
