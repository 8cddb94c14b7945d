#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "identity/signer.h"
#include "net/http_server.h"
#include "net/shards.h"

namespace sallyport::app {

/// The OpenID provider that `sallyport dev` brings along: discovery, JWKS, a token endpoint for its
/// seeded callers (client credentials; every secret is "dev"), and a login (code with PKCE) whose
/// page lets one choose which seeded person to be. Loopback only, keys of this run only.
class DemoIssuer {
 public:
  struct Caller {
    std::string name;  // also the client id of an agent
    bool agent = false;
    std::vector<std::string> groups;
  };

  /// Serves on 127.0.0.1:`port`. io_failed if the port is taken.
  static Result<std::unique_ptr<DemoIssuer>> Start(net::Shards& shards, uint16_t port,
                                                   std::string audience);

  const std::string& issuer() const { return issuer_; }
  std::string token_endpoint() const { return issuer_ + "/token"; }
  /// An access token (RFC 9068) for one of Callers(), good for eight hours.
  Result<std::string> Token(std::string_view name) const { return Token(name, audience_); }
  Result<std::string> Token(std::string_view name, std::string_view audience) const;

  /// An agent, an analyst, a support engineer, an approver, an auditor, and an off-boarded
  /// contractor whom no rule knows any more; and an administrator of the gate.
  static const std::vector<Caller>& Callers();

 private:
  DemoIssuer(identity::Signer signer, std::string issuer, std::string audience);
  boost::asio::awaitable<void> Handle(net::HttpExchange& exchange);
  std::string Discovery() const;
  std::string TokenResponse(std::string_view form, int& status);
  std::string CodeResponse(std::string_view form, int& status);
  std::string ChoicePage(std::string_view query) const;
  std::string Choose(std::string_view query);
  bool IsOurLogin(std::string_view query) const;

  /// A login on its way back, by its code.
  struct Login {
    std::string person, nonce, challenge, redirect_uri;
    Nanos until = 0;
  };

  std::mutex mutex_;
  std::map<std::string, Login> logins_;
  identity::Signer signer_;
  std::string issuer_, audience_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace sallyport::app
