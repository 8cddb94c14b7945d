#include "app/arguments.h"
#include "app/verbs.h"

namespace sallyport::app {
namespace {

void AddGate(CLI::App& command, AtGate& gate) {
  command.add_option("--server", gate.server,
                     "URL of the gate (default: SALLYPORT_SERVER, else where you signed in)");
  command.add_option("--token-file", gate.token_file,
                     "use the token in this file instead of the session of `sallyport login`");
  command.add_option("--ca", gate.ca, "certificate authority of the gate (PEM)");
}

void AddSessionVerbs(CLI::App& root, Chosen& chosen) {
  static SessionsOptions list, kill;
  CLI::App* sessions =
      Command(root, "sessions", "Sessions of people: who is signed in, and the end of it",
              "sallyport sessions list");
  sessions->require_subcommand(1);
  CLI::App* c = Command(*sessions, "list", "Your sessions", "sallyport sessions list --json");
  AddGate(*c, list.gate);
  c->add_flag("--all", list.all, "those of everybody (administrators and auditors)");
  c->add_flag("--json", list.json, "JSON");
  c->callback([&chosen] { chosen = [] { return RunSessionsList(list); }; });
  c = Command(*sessions, "kill",
              "Ends a session, or everything of a person: connections, streams, running queries",
              "sallyport sessions kill --issuer https://login.example.com --subject 1234 --reason "
              "'has left'");
  c->add_option("session", kill.id, "session, u_…");
  c->add_option("--issuer", kill.issuer, "of the person (administrators)");
  c->add_option("--subject", kill.subject, "of the person (administrators)");
  c->add_option("--reason", kill.reason, "why; the person is told, and the log keeps it")
      ->capture_default_str();
  AddGate(*c, kill.gate);
  c->add_flag("--json", kill.json, "JSON");
  c->callback([&chosen] { chosen = [] { return RunSessionsKill(kill); }; });
}

}  // namespace

void AddPeopleVerbs(CLI::App& root, Chosen& chosen) {
  static LoginOptions login;
  CLI::App* c = Command(root, "login", "Signs you in with your browser, and keeps the session",
                        "sallyport login --server https://gate.example.com");
  c->add_option("--server", login.server, "URL of the gate (default: SALLYPORT_SERVER)");
  c->add_option("--ca", login.ca, "certificate authority of the gate (PEM)");
  c->add_option("--only", login.only,
                "limits the session; again: any of them lets through. Terms: connection=, tool=, "
                "prompt=, resource=, table=, args.PATH=, effect=, rows=, uses=")
      ->allow_extra_args(false);
  c->add_option("--for", login.lasts, "ends the session after that time: 30m");
  c->add_option("--reason", login.reason, "what the session is for; shown where it is asked, kept in the log");
  c->add_flag("--no-browser", login.no_browser, "only print the address");
  c->add_flag("--device", login.device,
              "no browser here: shows a code to be typed in a browser on another device");
  c->add_flag("--json", login.json, "JSON");
  c->callback([&chosen] { chosen = [] { return RunLogin(login); }; });

  static LogoutOptions logout;
  c = Command(root, "logout", "Ends the session of `sallyport login`", "sallyport logout");
  AddGate(*c, logout.gate);
  c->callback([&chosen] { chosen = [] { return RunLogout(logout); }; });

  static WhoamiOptions whoami;
  c = Command(root, "whoami", "Who the gate takes you for", "sallyport whoami --why");
  AddGate(*c, whoami.gate);
  c->add_flag("--why", whoami.why,
              "from which credential, with which roles, and which rules speak of you");
  c->add_flag("--json", whoami.json, "JSON");
  c->callback([&chosen] { chosen = [] { return RunWhoami(whoami); }; });

  AddSessionVerbs(root, chosen);
}

}  // namespace sallyport::app
