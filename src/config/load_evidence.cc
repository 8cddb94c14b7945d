#include <algorithm>
#include <set>

#include "config/load_recording.h"
#include "config/sections.h"
#include "config/units.h"
#include "ledger/cosignature.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;

/// The name line of a checkpoint (C2SP tlog-checkpoint, signed-note): no white space, no '+', not
/// empty.
bool IsOrigin(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::none_of(text, [](char c) {
    auto u = static_cast<unsigned char>(c);
    return u <= 0x20 || u >= 0x7f || c == '+';
  });
}

void ReadNotify(Context& context, const Node& node, const std::string& where, Approval& approval) {
  Fields fields(context, node, where);
  if (const Node* webhook = fields.Require("webhook", "write webhook: { url: { env: NAME } }")) {
    Fields f(context, *webhook, where + ".webhook");
    ApprovalWebhook hook;
    if (f.Require("url", "write url: { env: NAME }: a webhook's URL is a secret") != nullptr)
      hook.url = f.Secret("url").value_or(secrets::Ref{});
    hook.key = f.Secret("key");
    hook.slack = f.Choice("format", {"json", "slack"}).value_or("json") == "slack";
    hook.allow_addresses = f.Texts("allow_addresses");
    hook.allow_loopback_http = f.Bool("allow_loopback_http").value_or(false);
    if (auto ca = f.Path("ca")) hook.ca = *ca;
    f.Done();
    approval.notify.push_back(std::move(hook));
  }
  fields.Done();
}

Approval ReadApproval(Context& context, const Node& node, size_t index, Places& places,
                      std::map<std::string, Mark>& names) {
  using namespace std::chrono_literals;
  Fields fields(context, node, "approvals[" + std::to_string(index) + "]");
  Approval approval;
  approval.name = fields.RequiredText("name", "add name: rules refer to it");
  CheckName(context, fields.ValueMark("name"), "approval", approval.name, names);
  if (fields.Require("approvers", "write approvers: [group:NAME]") != nullptr) {
    approval.approvers = ReadWho(fields, "approvers", false, places);
    if (fields.Get("approvers")->is(Node::Kind::sequence) &&
        fields.Get("approvers")->items.empty()) {
      context.Error(fields.ValueMark("approvers"), kCfgBadValue,
                    fields.where() + ".approvers is empty, so nobody can approve",
                    "write group:NAME");
    }
  }
  for (const std::string& who : approval.approvers) {
    if (!who.starts_with("agent:")) continue;
    context.Error(fields.ValueMark("approvers"), kCfgBadValue,
                  fields.where() + ".approvers names " + who + ", but only people approve",
                  "write group:NAME or user:NAME");
  }
  if (auto need = fields.Count("need", 1, 10)) approval.need = static_cast<uint32_t>(*need);
  approval.reason_required =
      fields.Choice("reason", {"required", "optional"}).value_or("optional") == "required";
  if (auto ttl = fields.Duration("ttl", 1s, 7 * 24h)) approval.ttl = *ttl;
  size_t n = 0;
  for (const Node& item : fields.List("notify")) {
    ReadNotify(context, item, fields.where() + ".notify[" + std::to_string(n++) + "]", approval);
  }
  fields.Done();
  return approval;
}

witness::Peer ReadWitness(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  witness::Peer peer;
  peer.name = fields.RequiredText("name", "write the witness's key name");
  if (!peer.name.empty() && !IsOrigin(peer.name)) {
    context.Error(fields.ValueMark("name"), kCfgBadValue, where + ".name has white space or a '+'",
                  "copy the name from its key");
  }
  peer.url = fields.RequiredText("url", "write the witness's URL");
  CheckUrl(fields, "url", peer.url, false);
  while (peer.url.ends_with('/')) peer.url.pop_back();
  peer.key = fields.RequiredText("key", "write its verifier key (name+hash+base64)");
  if (!peer.key.empty() && !peer.key.starts_with(peer.name + '+')) {
    context.Error(fields.ValueMark("key"), kCfgBadValue,
                  where + ".key is not a verifier key of that name", "write name+hash+base64");
  } else if (!peer.key.empty() && !ledger::CosignatureVerifier::Make(peer.key)) {
    context.Warn(fields.ValueMark("key"), kCfgBadValue,
                 where + ".key verifies no cosignature: the gateway will not start with it",
                 "copy the whole line that the witness printed (name+hash+base64)");
  }
  peer.operated_by = fields.Text("operator").value_or("");
  if (auto ca = fields.Path("ca")) peer.ca_file = *ca;
  peer.allow_addresses = fields.Texts("allow_addresses");
  peer.allow_loopback_http = fields.Bool("allow_loopback_http").value_or(true);
  fields.Done();
  return peer;
}

void ReadWitnesses(Context& context, Fields& fields, witness::Config& config) {
  size_t n = 0;
  for (const Node& item : fields.List("witnesses")) {
    config.peers.push_back(
        ReadWitness(context, item, "evidence.witnesses[" + std::to_string(n++) + "]"));
  }
  std::set<std::string> operators, keys;
  for (size_t i = 0; i < config.peers.size(); ++i) {
    const witness::Peer& peer = config.peers[i];
    operators.insert(peer.operated_by.empty() ? " " + std::to_string(i) : peer.operated_by);
    if (!peer.key.empty() && !keys.insert(peer.key).second) {
      context.Error(fields.ValueMark("witnesses"), kCfgConflict,
                    "evidence.witnesses names the key of " + peer.name + " twice", "keep one");
    }
  }
  const Node* witnessing = fields.Get("witnessing");
  if (witnessing == nullptr) return;
  Fields f(context, *witnessing, "evidence.witnessing");
  if (auto quorum = f.Count("quorum", 1, 32)) config.quorum = *quorum;
  if (config.quorum > operators.size()) {
    context.Error(f.ValueMark("quorum"), kCfgConflict,
                  "evidence.witnessing.quorum is " + std::to_string(config.quorum) + ", but " +
                      std::to_string(operators.size()) +
                      (operators.size() == 1 ? " operator runs" : " operators run") +
                      " the witnesses",
                  "a quorum counts operators, not keys");
  }
  using namespace std::chrono_literals;
  if (auto d = f.Duration("interval", 100ms, 1h)) config.interval = *d;
  if (auto d = f.Duration("within", 1s, 24h)) config.within = *d;
  if (config.within < 2 * config.interval) {
    context.Error(f.ValueMark("within"), kCfgConflict,
                  "evidence.witnessing.within is not twice the interval",
                  "a witness is asked once every interval");
  }
  config.refuse = f.Choice("unmet", {"alarm", "refuse"}).value_or("alarm") == "refuse";
  f.Done();
}

void ReadEvidenceKeys(Context& context, Fields& fields, Evidence& evidence) {
  if (const Node* sign = fields.Get("sign")) {
    Fields f(context, *sign, "evidence.sign");
    f.Require("key", "write key: { file: PATH }");
    evidence.signing_key = f.Secret("key");
    f.Done();
  }
  ReadWitnesses(context, fields, evidence.witnessing);
  if (const Node* encrypt = fields.Get("encrypt")) ReadEncrypt(context, *encrypt);
}

}  // namespace

void ReadApprovals(Context& context, const std::vector<Node>& nodes, Root& root, Places& places) {
  std::map<std::string, Mark> names;
  for (size_t i = 0; i < nodes.size(); ++i)
    root.approvals.push_back(ReadApproval(context, nodes[i], i, places, names));
}

void ReadEvidence(Context& context, const Node* node, Root& root) {
  Evidence& evidence = root.evidence;
  if (node != nullptr) {
    Fields fields(context, *node, "evidence");
    if (auto origin = fields.Text("origin")) {
      evidence.origin = *origin;
      if (!IsOrigin(evidence.origin)) {
        context.Error(fields.ValueMark("origin"), kCfgBadValue,
                      "evidence.origin cannot be the name of a log",
                      "write a URL without scheme, such as gate.example.com/cde-1: no white space "
                      "and no '+'");
      }
    }
    evidence.strict =
        fields.Choice("durability", {"group", "strict"}).value_or("group") == "strict";
    ReadEvidenceKeys(context, fields, evidence);
    if (auto bytes = fields.Size("payload_bytes", 0, 60 << 10)) evidence.payload_bytes = *bytes;
    fields.Done();
  }
  if (evidence.origin.empty()) {
    if (auto url = ParseUrl(root.server.public_url)) evidence.origin = url->host;
  }
}

void ReadSessions(Context& context, const Node& node, Root& root) {
  using namespace std::chrono_literals;
  Fields fields(context, node, "sessions");
  if (auto most = fields.Duration("max_duration", 1min, 24h * 31)) root.session_max = *most;
  if (auto idle = fields.Duration("idle", 1s, 24h * 31)) root.session_idle = *idle;
  if (root.session_idle > root.session_max) {
    context.Error(fields.MarkOf("idle"), kCfgConflict,
                  "sessions.idle is longer than sessions.max_duration",
                  "write an idle time below max_duration");
  }
  if (fields.Get("idle") != nullptr && root.session_idle > 15min) {
    context.Warn(fields.ValueMark("idle"), kCfgInsecure, "sessions.idle is longer than 15 minutes",
                 "PCI DSS 8.2.8 asks for at most 15m");
  }
  fields.Done();
}

}  // namespace sallyport::config
