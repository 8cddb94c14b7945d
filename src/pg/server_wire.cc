#include "pg/server_wire.h"

#include <algorithm>
#include <cctype>

#include "net/tcp.h"
#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr uint32_t kSslRequest = 80877103;  // src/include/libpq/pqcomm.h
constexpr size_t kMessageText = 200;
constexpr size_t kInBuffer = 16 << 10;  // what net::Stream holds unless told otherwise

std::chrono::milliseconds Until(TimePoint until) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(1));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The end of a run of digits with single separators between them ("4111 1111-…"), and how many
/// digits it has.
size_t DigitRun(std::string_view text, size_t at, size_t& digits) {
  digits = 0;
  size_t end = at;
  for (size_t i = at; i < text.size(); ++i) {
    if (IsDigit(text[i])) {
      ++digits, end = i + 1;
    } else if (!(text[i] == ' ' || text[i] == '-' || text[i] == '.') || end != i) {
      break;
    }
  }
  return end;
}

}  // namespace

std::optional<ServerMessage> MessageReader::TryNext(size_t max_body) {
  Done();
  const auto head = PeekHead(stream_.data());
  if (!head || head->length < 4 || head->body() > max_body) return std::nullopt;
  if (stream_.data().size() < head->total()) return std::nullopt;
  taken_ = head->total();
  return ServerMessage{head->type, stream_.data().substr(FrameHead::kSize, head->body())};
}

Task<ServerMessage> MessageReader::Next(TimePoint until, size_t max_body) {
  Done();
  size_t needed = FrameHead::kSize;
  char type = 0;
  bool in_scratch = false;
  for (;;) {
    const std::string_view data = stream_.data();
    if (in_scratch) {
      const size_t n = std::min(data.size(), needed - scratch_.size());
      scratch_.append(data.substr(0, n));
      stream_.Consume(n);
      if (scratch_.size() == needed)
        co_return ServerMessage{type, std::string_view(scratch_).substr(FrameHead::kSize)};
    } else if (const auto head = PeekHead(data)) {
      if (head->length < 4)
        co_return Fail(Errc::upstream_protocol,
                       std::string(what_) + ": the server sent a message of impossible length");
      if (head->body() > max_body)
        co_return Fail(Errc::upstream_protocol,
                       std::string(what_) + ": the server sent a message that is too long");
      if (data.size() >= head->total()) {
        taken_ = head->total();
        co_return ServerMessage{head->type, data.substr(FrameHead::kSize, head->body())};
      }
      type = head->type;
      needed = head->total();
      if (needed > kInBuffer) {
        in_scratch = true;
        scratch_.clear();
        continue;
      }
    }
    const auto got = co_await stream_.More(until);
    if (got == net::Stream::Got::timeout)
      co_return Fail(Errc::upstream_timeout, std::string(what_) + ": no answer in time");
    if (got == net::Stream::Got::ended)
      co_return Fail(Errc::upstream_closed,
                     std::string(what_) + ": the server closed the connection");
  }
}

void MessageReader::Done() {
  stream_.Consume(taken_);
  taken_ = 0;
}

Task<> SendAll(net::Stream& stream, std::string_view bytes, TimePoint until) {
  if (auto sent = co_await stream.Finish(net::Pieces(bytes), Until(until)); !sent)
    co_return Fail(Errc::upstream_closed, sent.error().detail);
  co_return Result<>();
}

namespace {

net::TlsEngine::Verify VerifyOf(ServerAddress::SslMode mode) {
  switch (mode) {
    case ServerAddress::SslMode::verify_full:
      return net::TlsEngine::Verify::full;
    case ServerAddress::SslMode::verify_ca:
      return net::TlsEngine::Verify::ca;
    case ServerAddress::SslMode::require:
    case ServerAddress::SslMode::disable:
      break;
  }
  return net::TlsEngine::Verify::none;
}

/// Asks for TLS and reads the one byte that answers.
Task<> AskForTls(net::Stream& stream, TimePoint until) {
  std::string request;
  MessageWriter(request).Begin(0).U32(kSslRequest).End();
  SALLYPORT_CO_CHECK(co_await SendAll(stream, request, until));
  while (stream.data().empty()) {
    const auto got = co_await stream.More(until);
    if (got == net::Stream::Got::timeout)
      co_return Fail(Errc::upstream_timeout, "login: no answer to the request for TLS");
    if (got == net::Stream::Got::ended)
      co_return Fail(Errc::upstream_closed, "login: the server closed the connection");
  }
  const char answer = stream.data()[0];
  stream.Consume(1);
  if (answer == 'S') co_return Result<>();
  co_return Fail(Errc::upstream_protocol, answer == 'N'
                                              ? "login: the server does not offer TLS"
                                              : "login: no server of PostgreSQL answers there");
}

Task<> Encrypt(net::Stream& stream, const ServerAddress& address, TimePoint until) {
  if (!address.tls) co_return Fail(Errc::config_invalid, "TLS to the server without a context");
  if (!address.direct_tls) SALLYPORT_CO_CHECK(co_await AskForTls(stream, until));
  auto engine =
      net::TlsEngine::Client(address.tls.get(), address.host, net::TlsEngine::Protocol::postgresql,
                             VerifyOf(address.sslmode));
  if (auto started = stream.StartTls(std::move(engine)); !started)
    co_return Fail(Errc::upstream_protocol, "login: the server sent plain bytes before TLS");
  if (auto done = co_await stream.Handshake(until); !done) {
    co_return Fail(done.error().code == Errc::upstream_timeout ? Errc::upstream_timeout
                                                               : Errc::upstream_unreachable,
                   "TLS to the server: " + done.error().detail);
  }
  if (address.direct_tls && stream.tls_engine()->protocol() != "postgresql")
    co_return Fail(Errc::upstream_protocol, "login: the server does not speak PostgreSQL on TLS");
  co_return Result<>();
}

}  // namespace

Task<std::shared_ptr<net::Stream>> Reach(const ServerAddress& address, TimePoint until) {
  const bool local = address.host.starts_with('/');
  std::string host = address.host;
  if (local) host += "/.s.PGSQL." + std::to_string(address.port);
  SALLYPORT_CO_TRY(auto stream, co_await net::Connect(host, address.port, Until(until)));
  if (!local && address.sslmode != ServerAddress::SslMode::disable)
    SALLYPORT_CO_CHECK(co_await Encrypt(*stream, address, until));
  co_return stream;
}

ServerError ReadError(std::string_view body) {
  ServerError error{.sqlstate = "XX000", .message = {}};
  BodyReader reader(body);
  for (;;) {
    const char field = static_cast<char>(reader.U8());
    if (field == 0 || reader.failed()) break;
    const std::string_view value = reader.CString();
    if (reader.failed()) break;
    if (field == 'C' && value.size() == 5 && std::ranges::all_of(value, [](unsigned char c) {
          return std::isdigit(c) || (c >= 'A' && c <= 'Z');
        }))
      error.sqlstate = value;
    if (field == 'M') error.message = RedactMessage(value);
  }
  return error;
}

std::string RedactMessage(std::string_view message) {
  std::string out;
  for (size_t i = 0; i < message.size() && out.size() < kMessageText;) {
    const char c = message[i];
    if (c == '"' || (c == '\'' && (i == 0 || message[i - 1] == ' ' || message[i - 1] == '('))) {
      const size_t close = message.find(c, i + 1);
      out += "\"…\"";
      i = close == std::string_view::npos ? message.size() : close + 1;
      continue;
    }
    if (IsDigit(c)) {
      size_t digits = 0;
      const size_t end = DigitRun(message, i, digits);
      out += digits >= 4 ? "…" : message.substr(i, end - i);
      i = end;
      continue;
    }
    out += c >= 0x20 && c < 0x7f ? c : '?';
    ++i;
  }
  return out;
}

bool KeepParameter(Server& server, std::string_view body) {
  BodyReader reader(body);
  const std::string_view name = reader.CString();
  const std::string_view value = reader.CString();
  if (!reader.done() || name.empty()) return false;
  for (auto& [known, kept] : server.parameters) {
    if (known == name) {
      kept = value;
      return true;
    }
  }
  server.parameters.emplace_back(name, value);
  return true;
}

}  // namespace sallyport::pg
