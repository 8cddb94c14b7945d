#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/fields.h"
#include "config/schema.h"

// The sections of the file, one function each; used by load.cc only. They report to the Context and
// fill in what they could read.

namespace sallyport::config {

/// Where names stand, for the checks across sections.
struct Places {
  struct Use {
    Mark mark;
    std::string where, name;
  };
  std::vector<Use> connections;  // names of connections that something refers to
  std::vector<Use> detectors;
  std::vector<Use> approvals;
  std::vector<Use> agents;                                              // agent:x in a who list
  std::vector<Use> providers;                                           // that have to be OIDC ones
  std::vector<Use> login_providers;                                     // of any kind
  std::map<std::string, Mark> provider_marks, agent_marks, rule_marks;  // where each is defined
  std::vector<std::string> saml;  // names of the providers that are not OIDC
};

void ReadServer(Context& context, const Node& node, Root& root);
void ReadIdentity(Context& context, const Node& node, Root& root, Places& places);
/// What else a provider that is read has: sends, email_subjects, ssf, poll. `oidc`: its options,
/// null of a SAML provider.
void ReadSignals(Fields& fields, const identity::ProviderConfig* oidc, bool people, Root& root);
/// identity.oauth_server
void ReadOauthServer(Context& context, const Node& node, Root& root, Places& places);
void ReadConnections(Context& context, const std::vector<Node>& nodes, Root& root);
/// connections[].mcp.http.auth of the server at `url`.
UpstreamAuth ReadUpstreamAuth(Context& context, const Node& node, const std::string& where,
                              const std::string& url);
/// user_oauth of such an auth.
credential::UserOAuth ReadUserOAuth(Context& context, const Node& node, const std::string& where);
/// The sections vault and aws_secrets, and whether references to them have one.
void ReadStores(Context& context, const Node* vault, const Node* aws_secrets, Root& root);
/// issuer_keys
void ReadIssuerKeys(Context& context, const Node& node, Root& root);
Postgres ReadPostgres(Context& context, const Node& node, const std::string& where);
void ReadMasking(Context& context, const Node* node, Root& root, Places& places);
void ReadApprovals(Context& context, const std::vector<Node>& nodes, Root& root, Places& places);
void ReadPolicies(Context& context, const std::vector<Node>& nodes, Root& root, Places& places);
void ReadEvidence(Context& context, const Node* node, Root& root);
/// The sections review and integrity.
void ReadReview(Context& context, const Node& node, Root& root, Places& places);
void ReadIntegrity(Context& context, const Node& node, Root& root);
void ReadSessions(Context& context, const Node& node, Root& root);
void ReadRecording(Context& context, const Node& node);
void ReadExports(Context& context, const std::vector<Node>& nodes, Root& root);
void CheckAcross(Context& context, const Root& root, const Places& places);

/// A list of callers ("group:x", "user:x", "agent:x", and "any" where that makes sense).
std::vector<std::string> ReadWho(Fields& fields, std::string_view key, bool any_allowed,
                                 Places& places);

/// Reports a name that is empty, too long, used twice, or holds other characters than a-z A-Z 0-9 .
/// _ -. `seen` collects the names of one section.
bool CheckName(Context& context, Mark mark, const std::string& what, const std::string& name,
               std::map<std::string, Mark>& seen);

/// A URL that has to be https, or http on loopback; reports otherwise. `plain_allowed`: http only
/// warns.
void CheckUrl(Fields& fields, std::string_view key, const std::string& url, bool plain_allowed);

}  // namespace sallyport::config
