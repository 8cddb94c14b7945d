#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gate/refusals.h"
#include "mcp/caller_load.h"
#include "mcp/caller_table.h"
#include "mcp/connection.h"
#include "mcp/frontend.h"
#include "mcp/gate_task.h"
#include "mcp/mask_message.h"
#include "mcp/parked.h"
#include "mcp/sealed_state.h"
#include "mcp/session_table.h"
#include "net/origin_check.h"

namespace sallyport::mcp {

struct Call;

/// What can be swapped by a reload; immutable.
struct Settings {
  std::shared_ptr<const mask::Masker> masker;
  config::ServerLimits limits;
  net::OriginCheck origins;
};

/// One connection as one shard sees it.
struct Place {
  Connection* connection = nullptr;
  McpUpstream* upstream = nullptr;
};

/// What lives on one shard and is touched by its thread only.
struct ShardState {
  size_t index = 0;
  boost::asio::any_io_executor executor;
  std::map<std::string, std::unique_ptr<McpUpstream>, std::less<>> upstreams;
  CallerTable callers;
  SessionTable sessions;
  ParkedTable parked;
  std::vector<std::weak_ptr<Call>> listens;  // subscriptions/listen
  std::map<const Call*, std::weak_ptr<Call>> running;

  // Readings for others, taken about once a second.
  std::atomic<size_t> session_count{0}, caller_count{0}, parked_count{0};
  void Count() {
    session_count.store(sessions.size());
    caller_count.store(callers.size());
    parked_count.store(parked.size());
  }
};

/// What all requests share. Outlives them.
struct Front {
  explicit Front(FrontendOptions given) : options(std::move(given)) {}

  std::shared_ptr<const Settings> settings() const { return current.load(); }
  MaskRules RulesFor(const Connection& connection, const Settings& settings) const;
  /// The connection of that name at this shard; its upstream is made when first asked for.
  Place PlaceOf(Connection& connection, ShardState& shard);
  ShardState& here() { return *shards[options.shards.current()]; }
  std::string ResourceUrl(std::string_view connection) const {
    return options.public_url + "/mcp/" + std::string(connection);
  }
  std::string MetadataUrl(std::string_view connection) const {
    return options.public_url + "/.well-known/oauth-protected-resource/mcp/" +
           std::string(connection);
  }

  FrontendOptions options;
  std::atomic<std::shared_ptr<const Settings>> current;
  std::map<std::string, std::unique_ptr<Connection>, std::less<>> connections;
  std::map<std::string, FrontendConnection*, std::less<>> factories;
  std::unique_ptr<SealedState> sealed;
  LoadTable loads;
  GateTasks gate_tasks;
  gate::Refusals refusals;
  CallerSessions caller_sessions;
  std::vector<std::unique_ptr<ShardState>> shards;
  std::atomic<bool> draining{false};
  std::atomic<bool> streams_ended{false};  // no stream without a call is opened any more
};

/// Records that a request was refused before it became an operation, or that the credential was.
/// The result is ledger_unavailable if even that cannot be done.
Result<> RecordRefused(Front& front, op::EventType type, std::string_view connection,
                       std::string_view address, const op::Session* session,
                       std::string_view method, const Error& error, std::string decision_id = {});

}  // namespace sallyport::mcp
