// Signing the daily review: POST /api/v1/reviews/<date>/signature {note}.
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/endpoints.h"
#include "review/desk.h"

namespace sallyport::api {
namespace {

/// Whom `review.who` names; without it, who has the role.
Result<> MaySign(const Visit& visit) {
  const review::Desk& reviews = *visit.parts.reviews;
  if (!visit.who().agent.empty())
    return Fail(Errc::policy_default_deny, "a review is signed by a person");
  if (!reviews.names_signers())
    return visit.HasRole({"auditor", "admin"}, "only auditors and administrators sign reviews");
  if (!reviews.MaySign(visit.who()))
    return Fail(Errc::policy_default_deny, "review.who does not name you");
  return visit.parts.strong(visit.who(), "auditor");
}

boost::asio::awaitable<Reply> Sign(Visit& visit) {
  if (visit.parts.reviews == nullptr)
    co_return Problem(Error(Errc::state_unavailable, "no reviews here"));
  if (const auto may = MaySign(visit); !may) co_return Problem(may.error());
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto note = TextOf(body->root(), "note", 2000);
  if (!note) co_return Problem(note.error());
  const auto done = visit.parts.reviews->Sign(visit.who(), visit.Param("date"),
                                              std::move(visit.parts.mask(*note).text));
  if (!done) co_return Problem(done.error());
  nlohmann::ordered_json answer{{"v", 1}, {"date", visit.Param("date")}, {"signed", true}};
  if (done->own_deviation)
    answer["warning"] = "the review lists something about you: somebody else should sign it too";
  co_return Json(answer.dump());
}

}  // namespace

void AddReviews(Router& router) {
  router.Add({.method = "POST",
              .path = "/api/v1/reviews/:date/signature",
              .handler = Sign,
              .works = true});
}

}  // namespace sallyport::api
