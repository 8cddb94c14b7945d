#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gate/gate.h"
#include "identity/verifier.h"
#include "mask/masker.h"
#include "net/http_server.h"
#include "net/shards.h"
#include "pg/catalog_loader.h"
#include "pg/credentials.h"
#include "pg/pan_map.h"
#include "pg/server.h"

namespace sallyport::pg {

/// A configured PostgreSQL connection.
struct FrontendConnection {
  std::string name;  // dbname of the client
  std::map<std::string, std::string> labels;
  std::shared_ptr<const ServerAddress> address;
  std::shared_ptr<Credentials> credentials;
  std::vector<ClassifiedColumn> classified;
  std::shared_ptr<PanMap> pan_map;
  bool source_only = false;  // masking: by the database alone, never by the relay
  std::chrono::milliseconds catalog_refresh{60'000};
};

struct FrontendLimits {
  uint32_t connections = 10'000;
  uint32_t sessions_per_caller = 100;
  std::chrono::milliseconds login_deadline{10'000};
  std::chrono::milliseconds session_max{4 * 3'600'000};
  std::chrono::milliseconds session_idle{15 * 60'000};  // no statement and none running
  size_t statement_bytes = 256 << 10;
  size_t message_bytes = 64u << 20;  // of what has to be held whole (Parse, Bind, Query)
};

struct FrontendOptions {
  gate::Gate& gate;
  net::Shards& shards;
  identity::TokenVerifier& verifier;
  const Clock& clock;
  std::string address;                  // listen
  std::shared_ptr<net::TlsServer> tls;  // null: plain, loopback only
  std::string public_url;
  std::string issuer_metadata;
  std::shared_ptr<const mask::Masker> masker;
  size_t record_bytes = 16 << 10;  // recorded of one statement and of one result
  std::vector<FrontendConnection> connections;
  FrontendLimits limits;
  /// Who may see everybody's sessions in the admin pseudo-database, beside their own; none if
  /// empty.
  std::function<bool(const op::Principal&)> sees_all;
  std::string version;  // of the gateway, for SHOW version
};

struct SessionInfo {
  std::string id, caller, connection, address, state;
  Nanos opened_at = 0;
  uint64_t statements = 0, rows = 0, bytes = 0;
};

/// What the sessions of one connection did since the start.
struct ConnectionFigures {
  uint64_t sessions = 0;  // open now
  uint64_t statements = 0, refused = 0, rows = 0, bytes = 0;
  uint64_t masked = 0;         // values that were masked on their way
  uint64_t columns_found = 0;  // reported: card numbers in a column that nobody classified
};

/// The PostgreSQL front-end: listener, sessions, cancel keys, catalogs. Every statement becomes an
/// op::Operation, goes through the gate, and its answer through the masker (docs/postgres.md,
/// docs/life-of-a-statement.md).
class Frontend {
 public:
  static Result<std::unique_ptr<Frontend>> Make(FrontendOptions options);
  /// After the shards have stopped.
  ~Frontend();

  uint16_t port() const;
  /// For statements from now on. Any thread.
  void Reload(std::shared_ptr<const mask::Masker> masker, FrontendLimits limits);
  /// Stops accepting; a session ends (57P01) when it is idle. Any thread.
  void Drain();
  /// Ends everything now. Any thread.
  void CloseAll();
  /// Ends the sessions of callers of whom `which` is true, cancelling what runs on the server; each
  /// client is told why. Any thread. How many.
  size_t Kill(std::function<bool(const op::Principal&)> which, Error why);
  /// How many sessions such callers have.
  size_t Holding(const std::function<bool(const op::Principal&)>& which) const;
  /// Ends the sessions of callers whom no rule lets in any more. Any thread. How many.
  size_t EndWithoutRules();
  /// About once a second.
  void Tick();
  std::vector<SessionInfo> sessions() const;
  size_t active() const;
  /// By name, every configured connection.
  std::map<std::string, ConnectionFigures> totals() const;

 private:
  struct Impl;
  explicit Frontend(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::pg
