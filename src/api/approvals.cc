#include <algorithm>
#include <cctype>

#include "api/approval_text.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/passkey_text.h"
#include "approval/desk.h"
#include "approval/passkeys.h"

namespace sallyport::api {
namespace {

constexpr size_t kMostListed = 500;
constexpr size_t kLongestReason = 1000;

std::string Now(const Visit& visit) { return FormatUtc(visit.parts.clock.WallNow()); }

bool HasRole(const Visit& visit) {
  return visit.HasRole({"approver", "auditor", "admin"}, "").has_value();
}

/// The request that the path names, if the caller may know of it. What they may not see and what
/// is not there look the same to those without any part in approvals.
Result<approval::Request> Named(const Visit& visit) {
  if (visit.parts.desk == nullptr) return Fail(Errc::state_unavailable, "no approvals here");
  auto request = visit.parts.desk->Find(visit.Param("id"));
  if (!request) return Fail(Errc::not_found, "no such request for approval");
  if (!MaySee(*request, visit.who(), HasRole(visit)))
    return Fail(Errc::session_foreign, "the request is neither yours nor yours to decide");
  return std::move(*request);
}

boost::asio::awaitable<Reply> List(Visit& visit) {
  if (visit.parts.desk == nullptr) co_return Problem(Error(Errc::state_unavailable));
  approval::Desk::Filter filter{.limit = 4 * kMostListed};
  if (const std::string state = visit.query.Get("state"); state == "open") {
    filter.open_only = true;
  } else if (!state.empty()) {
    filter.state = approval::ParseState(state);
    if (!filter.state) co_return Problem(Error(Errc::request_malformed, "state is none"));
  }
  const bool mine = visit.query.Get("mine") == "true";
  if (mine) filter.requester = &visit.who();
  visit.parts.desk->Saw(visit.who());
  const bool role = HasRole(visit);
  std::string out = "{\"now\":\"" + Now(visit) + "\",\"approvals\":[";
  size_t n = 0;
  for (const approval::Request& request : visit.parts.desk->List(filter)) {
    if (!MaySee(request, visit.who(), role)) continue;
    if (n == kMostListed) break;
    if (n++ > 0) out += ',';
    out += ApprovalJson(*visit.parts.desk, request, visit.who());
  }
  co_return Json(out + "]}");
}

boost::asio::awaitable<Reply> Show(Visit& visit) {
  const auto request = Named(visit);
  if (!request) co_return Problem(request.error());
  visit.parts.desk->Saw(visit.who());
  // Who looked is on record before anything is shown.
  if (const auto viewed = co_await visit.parts.desk->Viewed(request->id, visit.who()); !viewed)
    co_return Problem(viewed.error());
  std::string out = ApprovalJson(*visit.parts.desk, *request, visit.who());
  out.pop_back();
  out += ",\"now\":\"" + Now(visit) +
         "\",\"your_passkeys\":" + std::to_string(visit.parts.passkeys->Of(visit.who()).size()) +
         ",\"passkey_needed\":" + (visit.parts.passkeys->Needs(visit.who()) ? "true" : "false") +
         "}";
  co_return Json(std::move(out));
}

/// A decision that never came to the desk is as much a part of the story as one that did: a
/// passkey's proof that did not hold, somebody without any part in it.
void RecordRefusal(const Visit& visit, const approval::Request& request, bool approve,
                   const Error& error) {
  op::ApprovalEvidence about{.flow = request.flow, .digest = request.digest};
  about.by = &visit.who();
  about.vote = approve ? "approve" : "deny";
  about.state = approval::StateName(request.state);
  op::Evidence e;
  e.type = op::EventType::approval_decided;
  e.session = request.session;
  e.connection = request.connection;
  e.method = request.method;
  e.resource = request.resource;
  e.approval_id = request.id;
  e.approval = &about;
  e.ok = false;
  e.reason = error.code;
  e.detail = error.detail;
  (void)visit.parts.gate.Record(std::move(e));
}

/// The proof of the voter's passkey; empty for a person who never had one, and for a refusal
/// without one: to say no must never be hard.
Task<std::string> Proof(Visit& visit, const approval::Request& request, bool approve,
                        json::Value assertion) {
  approval::Passkeys& passkeys = *visit.parts.passkeys;
  SALLYPORT_CO_CHECK(passkeys.usable());
  if (approve && !visit.parts.desk->MayNot(request, visit.who()))
    SALLYPORT_CO_CHECK(visit.parts.strong(visit.who(), "approver"));
  const bool given = assertion && !assertion.is(json::Kind::null);
  if (!given && (!approve || !passkeys.Needs(visit.who()))) co_return std::string();
  if (!given) {
    // Who may not decide at all is told that, not to fetch a passkey.
    if (const auto objection = visit.parts.desk->MayNot(request, visit.who())) {
      co_return Fail(Errc::approver_ineligible, std::string(approval::ObjectionName(*objection)) +
                                                    ": " +
                                                    std::string(approval::Explain(*objection)));
    }
    if (passkeys.Of(visit.who()).empty()) {
      co_return Fail(Errc::passkey_required, "your passkey was removed: register another on " +
                                                 visit.parts.public_url + "/passkeys");
    }
    co_return Fail(Errc::passkey_required,
                   "you have a passkey: decide on " + visit.parts.desk->UrlOf(request.id));
  }
  SALLYPORT_CO_TRY(approval::Assertion signature, ReadAssertion(assertion));
  co_return co_await passkeys.Confirm(visit.who(), request.digest, approve, std::move(signature));
}

boost::asio::awaitable<Reply> Decide(Visit& visit) {
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const json::Value root = body->root();
  const auto decision = TextOf(root, "decision", 16);
  const auto reason = TextOf(root, "reason", 4 * kLongestReason, true);
  const auto digest = TextOf(root, "digest", 64);
  if (!decision) co_return Problem(decision.error());
  if (!reason) co_return Problem(reason.error());
  if (!digest) co_return Problem(digest.error());
  if (*decision != "approve" && *decision != "deny")
    co_return Problem(Error(Errc::request_malformed, "decision is neither approve nor deny"));
  const bool approve = *decision == "approve";
  const auto request = Named(visit);
  if (!request) {
    if (request.error().code == Errc::session_foreign) {
      if (const auto foreign = visit.parts.desk->Find(visit.Param("id")))
        RecordRefusal(visit, *foreign, approve, request.error());
    }
    co_return Problem(request.error());
  }
  auto proof = co_await Proof(visit, *request, approve, root["assertion"]);
  if (!proof) {
    RecordRefusal(visit, *request, approve, proof.error());
    co_return Problem(proof.error());
  }
  const auto decided =
      co_await visit.parts.desk->Decide(request->id, {.voter = visit.who(),
                                                      .approve = approve,
                                                      .reason = *reason,
                                                      .digest = *digest,
                                                      .assertion = std::move(*proof)});
  if (!decided) co_return Problem(decided.error());
  co_return Json(ApprovalJson(*visit.parts.desk, *decided, visit.who()));
}

boost::asio::awaitable<Reply> Withdraw(Visit& visit) {
  const auto request = Named(visit);
  if (!request) co_return Problem(request.error());
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto reason = TextOf(body->root(), "reason", 200, true);
  if (!reason) co_return Problem(reason.error());
  // The text of a withdrawal goes into the log as constant words; what was written stays out.
  const auto done = visit.parts.desk->Withdraw(request->id, visit.who(), "by who asked");
  if (!done) co_return Problem(done.error());
  const auto now = visit.parts.desk->Find(request->id);
  co_return now ? Json(ApprovalJson(*visit.parts.desk, *now, visit.who()))
                : Problem(Error(Errc::not_found));
}

}  // namespace

void AddApprovals(Router& router) {
  router.Add({.method = "GET", .path = "/api/v1/approvals", .handler = List});
  router.Add({.method = "GET", .path = "/api/v1/approvals/:id", .handler = Show, .works = true});
  router.Add({.method = "POST",
              .path = "/api/v1/approvals/:id/decision",
              .handler = Decide,
              .works = true});
  router.Add({.method = "POST",
              .path = "/api/v1/approvals/:id/withdraw",
              .handler = Withdraw,
              .works = true});
}

}  // namespace sallyport::api
