#include "mcp/front.h"

#include "mcp/answer_http.h"
#include "mcp/call.h"
#include "mcp/era.h"

namespace sallyport::mcp {

MaskRules Front::RulesFor(const Connection& connection, const Settings& settings) const {
  return {settings.masker, &connection.settings.content, connection.cde, options.record_bytes};
}

Place Front::PlaceOf(Connection& connection, ShardState& shard) {
  std::unique_ptr<McpUpstream>& upstream = shard.upstreams[connection.name];
  if (!upstream) upstream = factories.at(connection.name)->upstream(shard.index, shard.executor);
  return {&connection, upstream.get()};
}

Result<> RecordRefused(Front& front, op::EventType type, std::string_view connection,
                       std::string_view address, const op::Session* session,
                       std::string_view method, const Error& error, std::string decision_id) {
  op::Evidence e;
  e.type = type;
  e.connection = connection;
  e.address = address;
  if (session != nullptr) e.session = session->entry;
  e.method = method;
  e.reason = error.code;
  e.decision_id = std::move(decision_id);
  e.ok = false;
  return front.options.gate.Record(std::move(e));
}

boost::asio::awaitable<void> RefuseVisit(Visit& visit, const Error& error, WireAnswer answer,
                                         std::string_view raw_id) {
  const auto recorded =
      RecordRefused(visit.front, op::EventType::request_refused, visit.connection.name,
                    visit.request().address, nullptr, {}, error);
  if (!recorded) answer = ToWire(recorded.error(), {});
  co_await Send(visit.exchange, std::move(answer), raw_id);
}

boost::asio::awaitable<void> RefuseVisit(Visit& visit, const Error& error,
                                         std::string_view raw_id) {
  co_await RefuseVisit(visit, error, ToWire(error, {}), raw_id);
}

}  // namespace sallyport::mcp
