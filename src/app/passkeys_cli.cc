// `sallyport passkeys list`, `passkeys remove`: over the API of a running gate. One's own are
// removed on the page, where a login with fresh proof is asked for.
#include <cstdio>

#include "api/form.h"
#include "app/exit_code.h"
#include "app/gate_client.h"
#include "app/verbs.h"
#include "ledger/render.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

std::string Text(const ordered_json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? ledger::Printable(at->get<std::string>()) : "";
}

}  // namespace

int RunPasskeysList(const PasskeysOptions& options) {
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain("passkeys list", gate.error());
  std::string path = "/api/v1/passkeys";
  if (!options.issuer.empty() || !options.subject.empty())
    path += "?issuer=" + api::PercentEncode(options.issuer) +
            "&subject=" + api::PercentEncode(options.subject);
  const auto answer = gate->Get(path);
  if (!answer) return Complain("passkeys list", answer.error());
  if (!answer->ok()) return Complain("passkeys list", *answer);
  if (options.json) {
    std::printf("%s\n", answer->body.dump().c_str());
    return kOk;
  }
  const ordered_json list = answer->body.value("passkeys", ordered_json::array());
  if (list.empty()) {
    std::fprintf(stderr, "no passkey%s\n",
                 answer->body.value("needed", false)
                     ? "; there was one: nothing is approved until another is registered"
                     : "");
  }
  for (const ordered_json& key : list) {
    const std::string used = Text(key, "used_at");
    std::printf("%s  %s  registered %s, %s\n", Text(key, "id").c_str(), Text(key, "name").c_str(),
                Text(key, "created_at").c_str(),
                used.empty() ? "not used yet" : ("last used " + used).c_str());
  }
  return kOk;
}

int RunPasskeysRemove(const PasskeysOptions& options) {
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain("passkeys remove", gate.error());
  const auto answer = gate->Post("/api/v1/passkeys/remove", {{"id", options.id},
                                                             {"issuer", options.issuer},
                                                             {"subject", options.subject},
                                                             {"reason", options.reason}});
  if (!answer) return Complain("passkeys remove", answer.error());
  if (!answer->ok()) return Complain("passkeys remove", *answer);
  if (options.json) {
    std::printf("%s\n", answer->body.dump().c_str());
  } else {
    std::printf("Removed. Who had it approves nothing until another is registered.\n");
  }
  return kOk;
}

}  // namespace sallyport::app
