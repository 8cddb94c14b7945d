#include "api/approval_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "approval/binding.h"
#include "json/document.h"
#include "policy/unmask.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

/// {"arguments": …}, {"sql": …, "params": […]}, or {"text": …, "cut": {…}} of what was cut.
std::string ShownText(const approval::Request& request) {
  const std::string& text = request.shown.text.get();
  if (text.empty()) return "null";
  if (request.shown.complete && request.shown.json && json::Document::Check(text)) {
    return request.verb == op::Verb::sql ? text : "{\"arguments\":" + text + "}";
  }
  return ordered_json{{"text", text},
                      {"cut", {{"bytes", text.size()}, {"of", request.shown.total_bytes}}}}
      .dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json Who(const op::Principal& who) {
  ordered_json out{{"name", who.name}, {"issuer", who.issuer}, {"subject", who.subject}};
  if (!who.agent.empty()) out["agent"] = who.agent;
  if (!who.owner.empty()) out["owner"] = who.owner;
  out["groups"] = who.groups;
  return out;
}

ordered_json Votes(const approval::Request& request) {
  ordered_json out = ordered_json::array();
  for (const approval::Vote& vote : request.votes) {
    out.push_back({{"name", vote.voter.name.empty() ? vote.voter.subject : vote.voter.name},
                   {"decision", vote.approve ? "approve" : "deny"},
                   {"reason", vote.reason},
                   {"at", FormatUtc(vote.at)},
                   {"passkey", !vote.assertion.empty()},
                   {"entry", vote.entry}});
  }
  return out;
}

}  // namespace

bool MaySee(const approval::Request& request, const op::Principal& viewer, bool role) {
  const op::Principal& who = request.requester;
  if (role || (who.issuer == viewer.issuer && who.subject == viewer.subject)) return true;
  const auto names = [&](const std::string& selector) { return approval::Names(selector, viewer); };
  if (std::ranges::any_of(request.approvers, names)) return true;
  if (!who.owner.empty() && names(who.owner)) return true;
  return std::ranges::any_of(request.votes, [&](const approval::Vote& vote) {
    return vote.voter.issuer == viewer.issuer && vote.voter.subject == viewer.subject;
  });
}

std::string_view EffectInWords(op::Effect effect) {
  switch (effect) {
    case op::Effect::none:
      return "has no effect on data";
    case op::Effect::read:
      return "reads data";
    case op::Effect::call:
      return "calls a tool that may change data";
    case op::Effect::write:
      return "changes data";
    case op::Effect::ddl:
      return "changes the structure of the database";
    case op::Effect::admin:
      return "changes rights or settings";
  }
  return "changes rights or settings";
}

std::string UnmaskInWords(const approval::Request& request) {
  const op::UnmaskTerms& terms = *request.unmask;
  std::string out = "shows up to " + std::to_string(terms.max_values) + " values of ";
  for (size_t i = 0; i < terms.detectors.size(); ++i)
    out += (i > 0 ? ", " : "") + terms.detectors[i];
  out += " in clear to " + policy::UnmaskPerson(request.requester);
  if (!request.requester.agent.empty()) out += " through " + request.requester.agent;
  const int64_t seconds = terms.ttl / 1'000'000'000;
  out += seconds % 60 == 0 ? ", within " + std::to_string(seconds / 60) + " min of the approval"
                           : ", within " + std::to_string(seconds) + " s of the approval";
  return out;
}

std::string ApprovalJson(const approval::Desk& desk, const approval::Request& request,
                         const op::Principal& viewer) {
  const bool pending = request.state == approval::State::pending;
  const auto objection = desk.MayNot(request, viewer);
  ordered_json out{{"id", request.id},
                   {"state", approval::StateName(request.state)},
                   {"flow", request.flow},
                   {"need", request.need},
                   {"reason_required", request.reason_required},
                   {"created_at", FormatUtc(request.created)},
                   {"expires_at", FormatUtc(request.expires)},
                   {"requester", Who(request.requester)},
                   {"connection", request.connection},
                   {"kind", approval::KindName(request.verb)},
                   {"method", request.method},
                   {"resource", request.resource},
                   {"effect", approval::EffectName(request.effect)},
                   {"effect_in_words", EffectInWords(request.effect)},
                   {"digest", request.digest},
                   {"policy_version", request.policy_version},
                   {"decision_id", request.decision_id},
                   {"rules", request.rules},
                   {"why", request.why},
                   {"votes", Votes(request)},
                   {"entry", request.entry},
                   {"may_decide", pending && !objection}};
  if (request.unmask) {
    const op::UnmaskTerms& terms = *request.unmask;
    out["effect_in_words"] =
        std::string(EffectInWords(request.effect)) + ", and " + UnmaskInWords(request);
    out["unmask"] = {{"detectors", terms.detectors},
                     {"max_values", terms.max_values},
                     {"ttl_seconds", terms.ttl / 1'000'000'000},
                     {"person", policy::UnmaskPerson(request.requester)},
                     {"reason", terms.reason.get()}};
  }
  if (request.closed > 0) out["closed_at"] = FormatUtc(request.closed);
  if (!request.end_reason.empty()) out["end_reason"] = request.end_reason;
  if (objection || !pending) {
    out["may_not_because"] = objection ? approval::ObjectionName(*objection) : "not-pending";
  }
  std::string text = out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  text.pop_back();
  return text + ",\"shown\":" + ShownText(request) + "}";
}

}  // namespace sallyport::api
