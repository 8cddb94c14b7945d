#include "mcp/call.h"
#include "mcp/era.h"
#include "mcp/upstream_bridge.h"

namespace sallyport::mcp {

namespace {

/// Records who came and from where.
Task<std::shared_ptr<const op::Session>> OpenSession(Visit& visit, const ClientMessage& message) {
  auto session = std::make_unique<op::Session>();
  session->who = visit.token->principal;
  session->from.address = visit.request().address;
  const json::Value info = message.params["_meta"][kMetaClientInfo];
  std::string client(info["name"].string().value_or(""));
  if (const auto version = info["version"].string()) client += ' ' + std::string(*version);
  session->from.client = MaskPlain(visit.rules(), client.substr(0, 200));
  session->connection = visit.connection.name;
  session->front_end = "mcp";
  session->protocol = RevisionName(Revision::r2026_07_28);
  co_return co_await visit.front.options.gate.Open(std::move(session));
}

}  // namespace

Task<CallerPtr> ModernCaller(Visit& visit, const ClientMessage& message) {
  CallerTable::Key key{visit.token.get(), visit.connection.name, visit.request().address};
  const auto now = visit.front.options.clock.SteadyNow();
  if (CallerPtr known = visit.shard.callers.Find(key)) {
    known->used = now;
    co_return known;
  }
  CallerSessions& sessions = visit.front.caller_sessions;
  std::shared_ptr<const op::Session> shared = sessions.Find(key);
  if (!shared) {
    SALLYPORT_CO_TRY(auto opened, co_await OpenSession(visit, message));
    shared = sessions.Share(key, std::move(opened), visit.token, visit.front.options.gate);
  }
  auto caller = std::make_shared<Caller>();
  caller->token = visit.token;
  caller->session = std::move(shared);
  caller->load = visit.front.loads.Of(caller->session->who);
  caller->used = now;
  co_return visit.shard.callers.Insert(std::move(key), std::move(caller));
}

}  // namespace sallyport::mcp
