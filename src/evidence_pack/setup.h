#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "mask/masker.h"
#include "policy/rules.h"
#include "policy/unmask.h"

namespace sallyport::evidence_pack {

/// What the configuration says, in the words of a pack: names and settings, no secret. Filled in by
/// who can read a configuration.
struct Setup {
  struct Connection {
    std::string name, kind;  // "mcp", "postgresql"
    std::map<std::string, std::string> labels;
    std::string target;     // URL without what could be a secret, or host:port/database
    std::string transport;  // "TLS, verified", "loopback", …
    std::string account;  // who the upstream sees: "shared: app_reader", "a role for each session"
    /// Holds cardholder data, as the operator says by the label scope: cde.
    bool cde() const {
      const auto scope = labels.find("scope");
      return scope != labels.end() && scope->second == "cde";
    }
  };
  struct Key {
    std::string id, purpose, algorithm, place;  // place: never the content
    uint64_t bits = 0;
    std::string fingerprint;  // of its public half; empty: it has none
  };
  struct Certificate {
    std::string use, subject, issuer, fingerprint, file;
    Nanos not_before = 0, not_after = 0;
  };
  struct Agent {
    std::string name, owner, provider;
  };
  struct Flow {
    std::string name;
    std::vector<std::string> approvers;
    uint32_t need = 1;
  };

  bool given = false;  // false: no configuration was at hand, everything below is empty
  std::string digest;  // base64 of the SHA-256 of the file
  std::string tls_minimum, public_url;
  std::vector<std::pair<std::string, std::string>> listeners;  // name, address
  policy::RuleSetSpec policies;
  std::vector<Connection> connections;
  std::vector<Key> keys;
  std::vector<Certificate> certificates;
  std::vector<Agent> agents;
  std::vector<Flow> flows;
  std::map<std::string, std::vector<std::string>> roles;
  std::vector<std::string> mfa_roles;
  std::vector<policy::UnmaskGrant> unmask;
  std::vector<mask::DetectorSpec> detectors;
  std::vector<std::pair<std::string, std::string>> classified;  // connection:column, detector
  std::vector<std::pair<std::string, std::string>> providers;   // name, issuer
  std::vector<std::pair<std::string, std::string>> exports;     // name, kind
  std::vector<std::pair<std::string, std::string>> witnesses;   // name, who runs it
  std::vector<std::pair<std::string, std::string>> secrets;     // what for, kind of reference
  std::chrono::milliseconds session_idle{0}, session_max{0};
  std::chrono::milliseconds retention{0};  // of recordings; 0: none are kept
};

}  // namespace sallyport::evidence_pack
