#include "app/arguments.h"
#include "app/verbs.h"

namespace sallyport::app {
namespace {

template <class Options>
void AddGate(CLI::App& command, Options& options) {
  command.add_option("--server", options.gate.server,
                     "URL of the gate (default: SALLYPORT_SERVER, else where you logged in)");
  command.add_option("--token-file", options.gate.token_file,
                     "use the token in this file instead of the session of `sallyport login`");
  command.add_option("--ca", options.gate.ca, "certificate authority of the gate (PEM)");
  command.add_flag("--json", options.json, "JSON");
}

void AddId(CLI::App& command, ApprovalsOptions& options) {
  command.add_option("id", options.id, "request, a_…")
      ->required()
      ->check([](const std::string& id) {
        const bool plain = id.starts_with("a_") && id.size() <= 64 &&
                           id.find_first_not_of(
                               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
                               "YZ0123456789_-") == std::string::npos;
        return plain ? std::string() : "is no request: they look like a_0123456789abcdef";
      });
}

void AddDecision(CLI::App& approvals, ApprovalsOptions& options, bool approve, Chosen& chosen) {
  CLI::App* c = Command(
      approvals, approve ? "approve" : "deny",
      approve ? "Lets exactly this run, once" : "Says no; it does not run",
      approve ? "sallyport approvals approve a_0123456789abcdef --reason 'known order'"
              : "sallyport approvals deny a_0123456789abcdef --reason 'ask the shop first'");
  AddId(*c, options);
  AddGate(*c, options);
  c->add_option("--reason", options.reason, "why; kept in the log and shown to who asked");
  c->add_option("--digest", options.digest,
                "decide only if this is still the request's digest (from `show`)");
  c->callback([&chosen, &options, approve] {
    options.approve = approve;
    chosen = [&options] { return RunApprovalsDecide(options); };
  });
}

void AddPasskeyVerbs(CLI::App& root, Chosen& chosen) {
  static PasskeysOptions list, remove;
  CLI::App* passkeys = Command(root, "passkeys", "The keys with which people sign their approvals",
                               "sallyport passkeys list");
  passkeys->require_subcommand(1);
  CLI::App* c =
      Command(*passkeys, "list", "Your passkeys, or those of a person",
              "sallyport passkeys list --issuer https://login.example.com --subject 1234");
  c->add_option("--issuer", list.issuer, "of the person (administrators and auditors)");
  c->add_option("--subject", list.subject, "of the person (administrators and auditors)");
  AddGate(*c, list);
  c->callback([&chosen] { chosen = [] { return RunPasskeysList(list); }; });
  c = Command(
      *passkeys, "remove",
      "Removes a passkey of a person (administrators); your own on the page /passkeys",
      "sallyport passkeys remove --issuer https://login.example.com --subject 1234 --reason "
      "'phone lost' -- AbCd0123");
  c->add_option("id", remove.id, "of the passkey, as `list` shows it; after -- if it begins with -")
      ->required();
  c->add_option("--issuer", remove.issuer, "of the person")->required();
  c->add_option("--subject", remove.subject, "of the person")->required();
  c->add_option("--reason", remove.reason, "why; the log keeps it")->required();
  AddGate(*c, remove);
  c->callback([&chosen] { chosen = [] { return RunPasskeysRemove(remove); }; });
}

}  // namespace

void AddApprovalVerbs(CLI::App& root, Chosen& chosen) {
  AddPasskeyVerbs(root, chosen);
  static ApprovalsOptions list, show, approve, deny;
  CLI::App* approvals = Command(root, "approvals", "What waits for a decision, and the decision",
                                "sallyport approvals list");
  approvals->require_subcommand(1);
  CLI::App* c = Command(*approvals, "list", "What waits", "sallyport approvals list --json");
  AddGate(*c, list);
  c->add_flag("--all", list.all, "what has ended as well");
  c->add_option("--state", list.state,
                "open, pending, approved, denied, expired, withdrawn or redeemed");
  c->callback([&chosen] { chosen = [] { return RunApprovalsList(list); }; });
  c = Command(*approvals, "show", "One request, whole",
              "sallyport approvals show a_0123456789abcdef");
  AddId(*c, show);
  AddGate(*c, show);
  c->callback([&chosen] { chosen = [] { return RunApprovalsShow(show); }; });
  AddDecision(*approvals, approve, true, chosen);
  AddDecision(*approvals, deny, false, chosen);

  static ApprovalsOptions mine{.mine = true}, one{.mine = true}, withdraw{.mine = true};
  CLI::App* requests =
      Command(root, "requests", "What you asked for and wait for", "sallyport requests list");
  requests->require_subcommand(1);
  c = Command(*requests, "list", "Your requests", "sallyport requests list --all");
  AddGate(*c, mine);
  c->add_flag("--all", mine.all, "what has ended as well");
  c->add_option("--state", mine.state,
                "open, pending, approved, denied, expired, withdrawn or redeemed");
  c->callback([&chosen] { chosen = [] { return RunApprovalsList(mine); }; });
  c = Command(*requests, "show", "One of them, whole",
              "sallyport requests show a_0123456789abcdef");
  AddId(*c, one);
  AddGate(*c, one);
  c->callback([&chosen] { chosen = [] { return RunApprovalsShow(one); }; });
  c = Command(*requests, "withdraw", "Takes it back",
              "sallyport requests withdraw a_0123456789abcdef");
  AddId(*c, withdraw);
  AddGate(*c, withdraw);
  c->callback([&chosen] { chosen = [] { return RunRequestsWithdraw(withdraw); }; });
}

}  // namespace sallyport::app
