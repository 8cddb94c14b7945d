#include <algorithm>
#include <cstdio>

#include "app/exit_code.h"
#include "app/gate_client.h"
#include "app/verbs.h"
#include "ledger/render.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

/// What the gate wrote, for a terminal: nothing in it can move the cursor or hide text.
std::string Text(const ordered_json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) return {};
  return ledger::Printable(at->is_string() ? at->get<std::string>() : at->dump());
}

std::string Who(const ordered_json& request) {
  const ordered_json& who = request["requester"];
  for (const char* name : {"agent", "name", "subject"}) {
    if (std::string text = Text(who, name); !text.empty()) return text;
  }
  return "?";
}

std::string Shown(const ordered_json& request, size_t most) {
  const auto at = request.find("shown");
  if (at == request.end() || !at->is_object()) return {};
  std::string text = Text(*at, at->contains("sql")    ? "sql"
                               : at->contains("text") ? "text"
                                                      : "arguments");
  std::ranges::replace(text, '\n', ' ');
  if (text.size() > most) text = text.substr(0, most - 3) + "...";
  return text;
}

void PrintLine(const ordered_json& request) {
  std::printf("%-20s %-9s %-19s %-20s %-24s %s\n", Text(request, "id").c_str(),
              Text(request, "state").c_str(), Text(request, "expires_at").substr(0, 19).c_str(),
              Who(request).c_str(),
              (Text(request, "connection") + "/" + Text(request, "resource")).c_str(),
              Shown(request, 60).c_str());
}

void PrintWhole(const ordered_json& request, const std::string& url) {
  const ordered_json& who = request["requester"];
  const auto row = [](const char* name, const std::string& value) {
    if (!value.empty()) std::printf("%-14s %s\n", name, value.c_str());
  };
  row("request", Text(request, "id") + " (" + Text(request, "state") + ")");
  row("who", Who(request) + "  [" + Text(who, "subject") + ", " + Text(who, "issuer") + "]");
  row("owner", Text(who, "owner"));
  row("what", Text(request, "resource") + " on " + Text(request, "connection") + ", " +
                  Text(request, "effect_in_words"));
  if (const auto unmask = request.find("unmask"); unmask != request.end())
    row("in clear",
        ledger::Printable(Text(*unmask, "reason").empty() ? "no reason given"
                                                          : "because: " + Text(*unmask, "reason")));
  const auto shown = request.find("shown");
  if (shown != request.end() && shown->is_object()) {
    for (const auto& [name, value] : shown->items())
      row(name.c_str(),
          ledger::Printable(value.is_string() ? value.get<std::string>() : value.dump(2)));
  }
  row("why", Text(request, "why"));
  row("rules", Text(request, "rules"));
  row("asked", Text(request, "created_at"));
  row("ends", Text(request, "expires_at"));
  row("digest", Text(request, "digest"));
  for (const ordered_json& vote : request.value("votes", ordered_json::array())) {
    row("vote", Text(vote, "decision") + " by " + Text(vote, "name") + " at " + Text(vote, "at") +
                    (vote.value("passkey", false) ? ", with a passkey" : "") +
                    (Text(vote, "reason").empty() ? "" : ": " + Text(vote, "reason")));
  }
  if (Text(request, "state") == "pending") row("page", url);
}

int PrintAnswer(const char* command, const GateClient& gate, const Result<GateAnswer>& answer,
                bool as_json) {
  if (!answer) return Complain(command, answer.error());
  if (!answer->ok()) return Complain(command, *answer);
  if (as_json) {
    std::printf("%s\n", answer->body.dump().c_str());
  } else {
    PrintWhole(answer->body, gate.server() + "/approvals/" + Text(answer->body, "id"));
  }
  return kOk;
}

}  // namespace

int RunApprovalsList(const ApprovalsOptions& options) {
  const char* command = options.mine ? "requests list" : "approvals list";
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain(command, gate.error());
  std::string path = "/api/v1/approvals?state=" + (options.state.empty() ? "open" : options.state);
  if (options.all) path = "/api/v1/approvals?";
  if (options.mine) path += "&mine=true";
  const auto answer = gate->Get(path);
  if (!answer) return Complain(command, answer.error());
  if (!answer->ok()) return Complain(command, *answer);
  const ordered_json list = answer->body.value("approvals", ordered_json::array());
  if (options.json) {
    for (const ordered_json& request : list) std::printf("%s\n", request.dump().c_str());
    return kOk;
  }
  if (list.empty()) std::fprintf(stderr, "nothing waits\n");
  for (const ordered_json& request : list) PrintLine(request);
  return kOk;
}

int RunApprovalsShow(const ApprovalsOptions& options) {
  const char* command = options.mine ? "requests show" : "approvals show";
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain(command, gate.error());
  return PrintAnswer(command, *gate, gate->Get("/api/v1/approvals/" + options.id), options.json);
}

int RunApprovalsDecide(const ApprovalsOptions& options) {
  const char* command = options.approve ? "approvals approve" : "approvals deny";
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain(command, gate.error());
  // What is decided about is what is there now; a digest that was looked at before may be given.
  std::string digest = options.digest;
  if (digest.empty()) {
    const auto request = gate->Get("/api/v1/approvals/" + options.id);
    if (!request) return Complain(command, request.error());
    if (!request->ok()) return Complain(command, *request);
    digest = Text(request->body, "digest");
    if (!options.json)
      PrintWhole(request->body, gate->server() + "/approvals/" + options.id), std::printf("\n");
  }
  const auto answer = gate->Post("/api/v1/approvals/" + options.id + "/decision",
                                 {{"decision", options.approve ? "approve" : "deny"},
                                  {"reason", options.reason},
                                  {"digest", digest}});
  if (!answer) return Complain(command, answer.error());
  if (!answer->ok()) return Complain(command, *answer);
  if (options.json) {
    std::printf("%s\n", answer->body.dump().c_str());
  } else {
    std::printf("%s is %s\n", options.id.c_str(), Text(answer->body, "state").c_str());
  }
  return kOk;
}

int RunRequestsWithdraw(const ApprovalsOptions& options) {
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain("requests withdraw", gate.error());
  const auto answer =
      gate->Post("/api/v1/approvals/" + options.id + "/withdraw", ordered_json::object());
  if (!answer) return Complain("requests withdraw", answer.error());
  if (!answer->ok()) return Complain("requests withdraw", *answer);
  if (options.json) {
    std::printf("%s\n", answer->body.dump().c_str());
  } else {
    std::printf("%s is %s\n", options.id.c_str(), Text(answer->body, "state").c_str());
  }
  return kOk;
}

}  // namespace sallyport::app
