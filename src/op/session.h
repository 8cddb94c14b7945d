#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace sallyport::policy {
class Grant;
}

namespace sallyport::op {

/// Who is calling, as verified. The identity is (issuer, subject) and nothing else (invariant I4); `name` is
/// for people to read. An agent carries the owner it acts for.
struct Principal {
  std::string issuer;
  std::string subject;
  std::string name;                 // display only: mutable and unverified at many providers
  std::vector<std::string> groups;
  bool groups_complete = true;      // false: the provider cut the list; never "no groups"
  std::string provider;             // name in the configuration
  std::string client_id;
  std::string agent;                // configured agent name; empty for a person
  std::string owner;                // of the agent, e.g. "group:payments-platform"
  std::string token_class;          // "access", "ci-workload", …
  std::string origin;               // of a workload: what runs ("run_id=9001 ref=…"); for the record, never for a decision
  Nanos expires_at = 0;             // end of the credential
  std::string session;              // "u_…": the session the credential is of; empty for the provider's own tokens
  std::string sid;                  // session at the provider (OpenID Connect), if it told
  /// How and when the person signed in, as the provider says (OpenID Connect Core 2, RFC 8176); of SAML the
  /// AuthnContextClassRef is `acr`. Empty and 0: not stated.
  std::string acr;
  std::vector<std::string> amr;
  Nanos auth_time = 0;
  /// What the session is limited to; null: all that the rules give.
  std::shared_ptr<const policy::Grant> grant;
};

/// Where the caller stands.
struct From {
  std::string address;  // IP, no port
  std::string client;   // self-reported software name and version, masked; for people only, never trusted
};

/// A caller's stay at one connection: what an entry of the log refers to. Opened by Gate::Open, which records
/// it; shared by the requests that belong to it.
struct Session {
  std::string id;             // "s_…"
  Principal who;
  From from;
  std::string connection;
  std::string front_end;      // "mcp", "postgres"
  std::string protocol;       // protocol revision
  Nanos opened_at = 0;
  uint64_t entry = 0;         // log index of its session.open entry
  mutable std::atomic<uint64_t> operations{0};  // per-session counter, closes the account in session.close

  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

}  // namespace sallyport::op
