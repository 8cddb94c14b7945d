#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <string>

#include "app/verbs.h"
#include "base/secret.h"
#include "base/task.h"
#include "mcp/upstream_http_wire.h"
#include "net/http_client.h"

namespace sallyport::app {

/// A connection of the gate, as `sallyport connect` reaches it. Where the gate is and as whom is
/// looked up for each request, so whoever signs in again while the shim runs goes on with it. For
/// one shard.
class GateLink {
 public:
  GateLink(boost::asio::any_io_executor executor, AtGate options, std::string connection);

  /// Sends with the person's token. token_missing (nobody is signed in; the detail says what to
  /// do), config_invalid, and the errors of HttpClient. A gate that cannot be reached is tried for
  /// a few seconds: it may be starting. Of a request that did reach it nothing is sent twice.
  Task<std::unique_ptr<mcp::HttpReply>> Send(std::string method, net::Headers headers,
                                             std::string body);

  /// What a person has to do where the gate refuses the credential, for `reason`.
  std::string SignIn(std::string_view reason) const;
  /// The command with which to sign in; empty where the token is not that of `sallyport login`.
  std::string LoginCommand() const;

 private:
  struct Target {
    std::string server, ca;
    net::Url url;
    Secret token;
  };
  Result<Target> Find();
  net::HttpClient& ClientFor(const std::string& ca);

  boost::asio::any_io_executor executor_;
  const AtGate options_;
  const std::string connection_;
  std::string server_;                                               // the last one found
  std::map<std::string, std::unique_ptr<net::HttpClient>> clients_;  // by authority
};

}  // namespace sallyport::app
