// `sallyport whoami`, `logout`, `sessions list`, `sessions kill`: over the API of a running gate.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/exit_code.h"
#include "app/gate_client.h"
#include "app/session_file.h"
#include "app/verbs.h"
#include "ledger/render.h"
#include "obs/log.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

std::string Text(const ordered_json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? ledger::Printable(at->get<std::string>()) : "";
}

std::string List(const ordered_json& object, const char* name) {
  std::string out;
  const auto at = object.find(name);
  if (at == object.end() || !at->is_array()) return out;
  for (const ordered_json& item : *at) {
    if (item.is_string())
      out += (out.empty() ? "" : ", ") + ledger::Printable(item.get<std::string>());
  }
  return out;
}

void Line(const char* name, const std::string& value) {
  if (!value.empty()) std::printf("%-13s %s\n", name, value.c_str());
}

/// Asks, and gives the answer or the exit code.
std::optional<ordered_json> Ask(const char* command, const AtGate& gate, const std::string& path,
                                const ordered_json* body, int& exit_code) {
  obs::SetLevel("error");
  const auto client =
      GateClient::Make({.server = gate.server, .token_file = gate.token_file, .ca = gate.ca});
  if (!client) {
    exit_code = Complain(command, client.error());
    return std::nullopt;
  }
  auto answer = body == nullptr ? client->Get(path) : client->Post(path, *body);
  if (!answer) {
    exit_code = Complain(command, answer.error());
    return std::nullopt;
  }
  if (!answer->ok()) {
    exit_code = Complain(command, *answer);
    return std::nullopt;
  }
  return std::move(answer->body);
}

}  // namespace

int RunWhoami(const WhoamiOptions& options) {
  int exit_code = kOk;
  const auto me = Ask("whoami", options.gate, options.why ? "/api/v1/me?why" : "/api/v1/me",
                      nullptr, exit_code);
  if (!me) return exit_code;
  if (options.json) {
    std::printf("%s\n", me->dump().c_str());
    return kOk;
  }
  Line("name", Text(*me, "name"));
  Line("issuer", Text(*me, "issuer"));
  Line("subject", Text(*me, "subject"));
  Line("agent", Text(*me, "agent"));
  Line("owner", Text(*me, "owner"));
  const bool complete = me->value("groups_complete", true);
  Line("groups", List(*me, "groups") + (complete ? "" : " (the provider cut the list)"));
  Line("session", Text(*me, "session"));
  Line("until", Text(*me, "expires_at"));
  Line("for", Text(*me, "reason"));
  if (const auto limits = me->find("limits"); limits != me->end() && limits->is_array()) {
    for (const ordered_json& limit : *limits) {
      const std::string used =
          limit.contains("used")
              ? " (" + std::to_string(limit.value("used", uint64_t{0})) + " used)"
              : "";
      Line("only", Text(limit, "words") + used);
    }
  }
  if (!options.why) return kOk;
  Line("signed in", Text(*me, "authenticated_at"));
  Line("provider", Text(*me, "provider"));
  Line("client", Text(*me, "client_id"));
  Line("credential", Text(*me, "token_class"));
  Line("signed in by", Text(*me, "acr"));
  Line("methods", List(*me, "amr"));
  Line("last login", Text(*me, "auth_time"));
  Line("groups from", Text(*me, "groups_from"));
  Line("groups cut", Text(*me, "groups_note"));
  Line("roles", List(*me, "roles"));
  if (const auto worst = me->find("offboarding"); worst != me->end() && worst->is_object())
    Line("when you leave", worst->value("words", ""));
  Line("policy", Text(*me, "policy_version"));
  const auto rules = me->find("rules");
  if (rules == me->end() || !rules->is_array()) return kOk;
  std::printf("rules that speak of you:\n");
  for (const ordered_json& rule : *rules) {
    std::printf("  %-8s %-24s %s  (%s)\n", Text(rule, "effect").c_str(), Text(rule, "id").c_str(),
                Text(rule, "connection").c_str(), List(rule, "because").c_str());
  }
  return kOk;
}

int RunLogout(const LogoutOptions& options) {
  int exit_code = kOk;
  const auto me = Ask("logout", options.gate, "/api/v1/me", nullptr, exit_code);
  if (!me) {
    ForgetSession();  // what is kept is worth nothing
    return exit_code;
  }
  const std::string session = Text(*me, "session");
  if (session.empty()) {
    std::fprintf(stderr, "sallyport logout: this is no session but a token of the provider\n");
    return kFailed;
  }
  const ordered_json body{{"reason", "signed out"}};
  if (!Ask("logout", options.gate, "/api/v1/sessions/" + session + "/end", &body, exit_code))
    return exit_code;
  ForgetSession();
  std::printf("Signed out (session %s).\n", session.c_str());
  return kOk;
}

int RunSessionsList(const SessionsOptions& options) {
  int exit_code = kOk;
  const auto answer =
      Ask("sessions", options.gate, options.all ? "/api/v1/sessions?all" : "/api/v1/sessions",
          nullptr, exit_code);
  if (!answer) return exit_code;
  if (options.json) {
    std::printf("%s\n", answer->dump().c_str());
    return kOk;
  }
  std::printf("%-19s %-8s %-5s %-24s %-31s %s\n", "session", "state", "kind", "person", "last work",
              "client");
  for (const ordered_json& s : (*answer)["sessions"]) {
    const bool limited = s.contains("limits") && s["limits"].is_array();
    std::printf("%-19s %-8s %-5s %-24s %-31s %s%s%s\n", Text(s, "id").c_str(),
                Text(s, "state").c_str(), Text(s, "kind").c_str(),
                Text(s["person"], "name").c_str(), Text(s, "worked_at").c_str(),
                Text(s, "client").c_str(), limited ? "  (limited)" : "",
                s.value("this_one", false) ? "  (this one)" : "");
  }
  return kOk;
}

int RunSessionsKill(const SessionsOptions& options) {
  const bool person = !options.issuer.empty() || !options.subject.empty();
  if (person ? (options.issuer.empty() || options.subject.empty() || !options.id.empty())
             : options.id.empty()) {
    std::fprintf(stderr,
                 "sallyport sessions kill: give a session (u_…), or --issuer and --subject\n");
    return kUsage;
  }
  if (!person &&
      options.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
    std::fprintf(stderr, "sallyport sessions kill: a session's id looks like u_0123456789abcdef\n");
    return kUsage;
  }
  const ordered_json body = person ? ordered_json{{"issuer", options.issuer},
                                                  {"subject", options.subject},
                                                  {"reason", options.reason}}
                                   : ordered_json{{"reason", options.reason}};
  int exit_code = kOk;
  const auto answer = Ask(
      "sessions", options.gate,
      person ? "/api/v1/revocations" : "/api/v1/sessions/" + options.id + "/end", &body, exit_code);
  if (!answer) return exit_code;
  if (options.json) {
    std::printf("%s\n", answer->dump().c_str());
  } else {
    std::printf("Ended.\n");
  }
  return kOk;
}

}  // namespace sallyport::app
