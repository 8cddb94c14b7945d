#include "ledger/entry.h"

#include <map>

#include "ledger/object_writer.h"
#include "ledger/tile.h"

namespace sallyport::ledger {
namespace {

/// How much an entry keeps: each level drops more, until it fits.
enum Level : int { kAll, kNoResult, kNoPayload, kMaskTotals, kNoGroups, kLevels };

std::string_view VerdictName(op::Verdict v) {
  switch (v) {
    case op::Verdict::allow:
      return "allow";
    case op::Verdict::approve:
      return "approve";
    case op::Verdict::deny:
      return "deny";
  }
  return "deny";
}

void AppendBlob(std::string& out, const op::Blob& blob) {
  ObjectWriter object(out);
  object.Text("f", blob.recording);
  object.Number("o", blob.offset);
  object.Number("l", blob.length);
  object.Number("n", blob.chunks);
  object.Text("h", blob.sha256);
  object.Text("k", blob.key);
  object.Close();
}

void AppendPayload(std::string& out, const op::Payload& payload, bool with_text) {
  ObjectWriter object(out);
  object.Number("b", payload.total_bytes);
  object.NumberUnlessZero("rows", payload.rows);
  object.NumberUnlessZero("lost", payload.rows_missing);
  if (!payload.cards.empty()) object.Texts("cards", payload.cards);
  if (payload.blob) AppendBlob(object.Key("blob"), *payload.blob);
  if (!payload.complete || (!with_text && !payload.text.empty())) object.Flag("cut", true);
  if (with_text && !payload.text.empty()) {
    if (payload.json) {
      object.Key("json") += payload.text.get();  // the masking engine has parsed it
    } else {
      json::AppendString(object.Key("text"), payload.text.get());
    }
  }
  object.Close();
}

void AppendWho(std::string& out, const op::Principal& who, Level level) {
  ObjectWriter object(out);
  object.Text("iss", who.issuer);
  object.Text("sub", who.subject);
  object.Text("name", who.name);
  if (level < kNoGroups) {
    object.Texts("groups", who.groups);
  } else {
    object.Number("groups_cut", who.groups.size());
  }
  if (!who.groups_complete) object.Flag("partial", true);
  object.Text("idp", who.provider);
  object.Text("client", who.client_id);
  object.Text("agent", who.agent);
  object.Text("owner", who.owner);
  object.Text("class", who.token_class);
  object.Text("org", who.origin);
  if (who.expires_at > 0) object.Number("exp", uint64_t(who.expires_at));
  object.Close();
}

void AppendApproval(std::string& out, const op::ApprovalEvidence& approval, Level level) {
  ObjectWriter object(out);
  object.Text("flow", approval.flow);
  object.Text("dg", approval.digest);
  if (!approval.binding.empty()) object.Key("bind") += approval.binding;
  if (approval.expires > 0) object.Number("exp", uint64_t(approval.expires));
  if (approval.by != nullptr) AppendWho(object.Key("by"), *approval.by, level);
  object.Text("vote", approval.vote);
  object.Text("reason", approval.reason.get());
  if (!approval.assertion.empty()) object.Key("sig") += approval.assertion;
  object.Text("st", approval.state);
  object.Close();
}

void AppendUnmask(std::string& out, const op::Evidence& e) {
  ObjectWriter object(out);
  if (e.unmask != nullptr) {
    object.Texts("det", e.unmask->detectors);
    object.Number("max", e.unmask->max_values);
    if (e.unmask_until > 0) object.Number("until", e.unmask_until);
  }
  if (e.unmasked) {
    object.Number("n", e.unmasked->values);
    object.Number("at", e.unmasked->places);
  }
  object.Close();
}

void AppendMasked(std::string& out, const std::vector<op::MaskCount>& masked, Level level) {
  std::vector<op::MaskCount> totals;
  if (level >= kMaskTotals) {
    std::map<std::string, uint64_t> sums;
    for (const op::MaskCount& m : masked) sums[m.kind] += m.count;
    for (const auto& [kind, sum] : sums)
      totals.push_back({kind, "*", uint32_t(std::min<uint64_t>(sum, ~0u))});
  }
  out += '[';
  bool first = true;
  for (const op::MaskCount& m : level >= kMaskTotals ? totals : masked) {
    if (!first) out += ',';
    first = false;
    ObjectWriter object(out);
    object.Text("k", m.kind);
    object.Text("p", m.place);
    object.Number("n", m.count);
    object.Close();
  }
  out += ']';
}

void AppendAccess(std::string& out, const op::AccessEvidence& access, Level level) {
  ObjectWriter object(out);
  object.Text("sid", access.session);
  object.Text("kind", access.kind);
  if (access.whom != nullptr) AppendWho(object.Key("who"), *access.whom, level);
  object.Text("by", access.by);
  object.Text("why", access.why.get());
  object.Text("lim", access.grant.get());
  object.NumberUnlessZero("own", access.sessions);
  object.NumberUnlessZero("pg", access.postgres);
  object.NumberUnlessZero("mcp", access.mcp);
  object.NumberUnlessZero("ap", access.approvals);
  object.Close();
}

std::string Encode(const op::Evidence& e, Level level) {
  std::string out;
  out.reserve(512 + (e.request ? e.request->text.get().size() : 0) +
              (e.result ? e.result->text.get().size() : 0));
  ObjectWriter object(out);
  object.Number("v", 1);
  object.Text("e", op::EventName(e.type));
  object.Number("t", e.at);
  if (e.session) object.Number("s", *e.session);
  object.NumberUnlessZero("n", e.operation);
  if (e.opened != nullptr) {
    object.Text("sid", e.opened->id);
    object.Text("lg", e.opened->who.session);
    AppendWho(object.Key("who"), e.opened->who, level);
    object.Text("from", e.opened->from.address);
    object.Text("ua", e.opened->from.client);
    object.Text("fe", e.opened->front_end);
    object.Text("pv", e.opened->protocol);
  } else {
    object.Text("from", e.address);
  }
  object.Text("c", e.connection);
  object.Text("m", e.method);
  object.Text("r", e.resource);
  object.Text("tr", e.trace);
  object.Text("d", e.decision_id);
  if (e.verdict) object.Text("x", VerdictName(*e.verdict));
  object.Texts("rules", e.rules);
  object.Text("p", e.policy_version);
  if (e.reason) object.Text("why", ReasonCode(*e.reason));
  object.Text("a", e.approval_id);
  if (e.approval != nullptr) AppendApproval(object.Key("ap"), *e.approval, level);
  if (e.unmask != nullptr || e.unmasked) AppendUnmask(object.Key("um"), e);
  if (e.intent) object.Number("i", *e.intent);
  if (!e.ok) object.Flag("ok", false);
  object.Text("code", e.code);
  object.NumberUnlessZero("us", e.duration_us);
  object.NumberUnlessZero("count", e.count);
  if (e.access != nullptr) AppendAccess(object.Key("acc"), *e.access, level);
  object.Text("detail", e.detail);
  if (!e.facts.empty()) object.Key("facts") += e.facts.get();
  if (!e.masked.empty()) AppendMasked(object.Key("mask"), e.masked, level);
  if (e.request) AppendPayload(object.Key("req"), *e.request, level < kNoPayload);
  if (e.result) AppendPayload(object.Key("res"), *e.result, level < kNoResult);
  object.Close();
  return out;
}

}  // namespace

std::string EncodeEntry(const op::Evidence& evidence) {
  std::string out;
  for (int level = kAll; level < kLevels; ++level) {
    out = Encode(evidence, Level(level));
    if (out.size() <= kMaxEntryBytes) break;
  }
  return out;
}

Result<Entry> DecodeEntry(std::string_view bytes) {
  const auto malformed = [](const char* what) {
    return Fail(Errc::request_malformed, std::string("log entry: ") + what);
  };
  Entry entry;
  // A recorded payload may use up the depth that a message may have, two levels down.
  SALLYPORT_TRY(entry.document,
                json::Document::Parse(bytes, {.max_bytes = 65'535, .max_depth = 512}));
  const json::Value root = entry.document.root();
  if (!root.is(json::Kind::object)) return malformed("not an object");
  if (root["v"].integer() != 1) return malformed("unknown version");
  const auto event = root["e"].string();
  if (!event || event->empty()) return malformed("no event name");
  entry.event = *event;
  const auto at = root["t"].integer();
  if (!at) return malformed("no time");
  entry.at = *at;
  if (const json::Value s = root["s"]) {
    const auto session = s.integer();
    if (!session || *session < 0) return malformed("the session is not an index");
    entry.session = uint64_t(*session);
    entry.has_session = true;
  }
  return entry;
}

}  // namespace sallyport::ledger
