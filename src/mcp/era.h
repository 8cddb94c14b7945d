#pragma once

#include "identity/verifier.h"
#include "mcp/client_message.h"
#include "mcp/front.h"
#include "net/http_server.h"

namespace sallyport::mcp {

/// An exchange whose caller is known, before its era is.
struct Visit {
  Front& front;
  ShardState& shard;
  Connection& connection;
  net::HttpExchange& exchange;
  identity::VerifiedPtr token;
  std::shared_ptr<const Settings> settings;

  const net::HttpRequest& request() const { return exchange.request(); }
  MaskRules rules() const { return front.RulesFor(connection, *settings); }
};

/// modern.cc: one request of 2026-07-28. `in` is read already.
boost::asio::awaitable<void> ServeModern(Visit& visit, std::shared_ptr<Incoming> in);
/// modern_caller.cc: the caller's op::Session here, opened if this is the first request.
Task<CallerPtr> ModernCaller(Visit& visit, const ClientMessage& message);
/// modern_listen.cc: subscriptions/listen.
boost::asio::awaitable<void> ServeListen(Visit& visit, std::shared_ptr<Incoming> in,
                                         const ClientMessage& message, CallerPtr caller);

/// legacy.cc: POST of the session eras.
boost::asio::awaitable<void> ServeLegacyPost(Visit& visit, std::shared_ptr<Incoming> in);
/// legacy_get.cc: GET (a stream of messages that belong to no call, or the rest of a broken
/// stream).
boost::asio::awaitable<void> ServeLegacyGet(Visit& visit);
/// legacy_get.cc: DELETE ends the session.
boost::asio::awaitable<void> ServeLegacyDelete(Visit& visit);

/// Records a refusal that has no session and answers it.
boost::asio::awaitable<void> RefuseVisit(Visit& visit, const Error& error,
                                         std::string_view raw_id = {});
/// The same with an answer that has more to say than the error alone.
boost::asio::awaitable<void> RefuseVisit(Visit& visit, const Error& error, WireAnswer answer,
                                         std::string_view raw_id);

}  // namespace sallyport::mcp
