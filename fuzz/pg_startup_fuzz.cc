// What anyone can send before a login: the startup packet and the messages that carry a credential,
// through the parsers one by one and through the whole of it on a connection, in pieces.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include "identity/signer.h"
#include "identity/verifier.h"
#include "net/loop.h"
#include "pg/arrival.h"
#include "pg/client_auth.h"
#include "pg/frame.h"
#include "pg/oauthbearer.h"

using namespace sallyport;
using namespace sallyport::pg;

namespace {

void Require(bool good) {
  if (!good) __builtin_trap();
}

void Parsers(std::string_view input) {
  if (const auto first = ParseFirstPacket(input)) {
    if (const auto* request = std::get_if<StartupRequest>(&*first)) {
      Require(!request->startup.user.empty() && !request->startup.database.empty());
      Require(request->startup.minor == 0 || request->startup.minor == 2);
      Require(request->unknown.empty() || request->negotiate);
      for (const auto& [name, value] : request->startup.parameters)
        Require(name != "sallyport.auth" && name != "user" && name != "replication");
      std::string out;
      AppendNegotiation(out, *request);
      Require(PeekHead(out)->total() == out.size());
    } else if (const auto* cancel = std::get_if<CancelRequest>(&*first)) {
      Require(cancel->key.size() >= 4 && cancel->key.size() <= 256);
    }
  } else {
    std::string out;
    AppendFatal(out, first.error());
    Require(PeekHead(out)->total() == out.size());
    Require(std::string_view(first.error().sqlstate).size() == 5);
  }
  if (const auto password = ParsePassword(input))
    Require(password->size() + 1 == input.size() && password->find('\0') == password->npos);
  if (const auto initial = ParseSaslInitial(input); initial && *initial)
    Require((*initial)->size() < input.size());
  if (const auto bearer = ParseOAuthBearer(input)) {
    Require(input.starts_with("n,,\x01") || input.starts_with("y,,\x01"));
    Require(input.ends_with("\x01\x01"));
    Require(!bearer->discovery || bearer->token.empty());
    // Nothing of a token needs quoting anywhere.
    Require(bearer->token.find_first_of(" \t\r\n\"\\\x01") == std::string_view::npos);
  }
}

identity::TokenVerifier& Verifier() {
  static const auto verifier = [] {
    identity::ProviderConfig corp;
    corp.name = "corp";
    corp.issuer = "https://idp";
    corp.audiences = {"sallyport"};
    return *identity::TokenVerifier::Create({.providers = {corp}, .agents = {}},
                                            [](const FetchRequest&) -> Result<FetchResponse> {
                                              return Fail(Errc::upstream_unreachable);
                                            },
                                            SystemClock(), {});
  }();
  [[maybe_unused]] static const bool fetched = verifier->FetchDue();
  return *verifier;
}

boost::asio::awaitable<void> Door(std::shared_ptr<net::Stream> stream,
                                  const ArrivalOptions& options) {
  const auto arrived = co_await Receive(stream, "192.0.2.1", options);
  // No token of anybody's is known here.
  Require(!arrived || std::holds_alternative<CancelRequest>(*arrived));
  stream->Close();
}

/// The bytes come in two pieces, cut where their first byte says; then the client has left.
void Connection(std::string_view input) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
  boost::asio::io_context context(1);
  ArrivalOptions options;
  options.plain_password = true;
  options.verifier = &Verifier();
  options.login_deadline = std::chrono::milliseconds(200);
  bool reported = false, done = false;
  options.on_refused = [&](const std::string&, const Error&, const std::string&) {
    Require(!reported);
    reported = true;
  };
  net::Socket socket(context);
  socket.assign(boost::asio::ip::tcp::v4(), ends[0]);
  auto& loop = net::Loop::Of(context.get_executor());
  boost::asio::co_spawn(
      context, Door(std::make_shared<net::Stream>(loop, std::move(socket), nullptr), options),
      [&done](std::exception_ptr error) {
        Require(!error);
        done = true;
      });
  const size_t cut = input.empty() ? 0 : static_cast<uint8_t>(input[0]) % (input.size() + 1);
  input.remove_prefix(input.empty() ? 0 : 1);
  const std::string_view first = input.substr(0, cut);
  const std::string_view second = input.substr(std::min(cut, input.size()));
  (void)::send(ends[1], first.data(), first.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  context.poll();
  (void)::send(ends[1], second.data(), second.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(ends[1], SHUT_WR);
  // Not run(): a deadline that was cleared keeps its timer until it is due.
  while (!done) Require(context.run_one() == 1);
  ::close(ends[1]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Parsers(input);
  if (size < 16 << 10) Connection(input);
  return 0;
}
