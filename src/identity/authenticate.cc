// The waiting half of TokenVerifier, apart because it is the only part that sees asio's machinery.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cctype>
#include <memory>
#include <utility>

#include "identity/await_keys.h"
#include "identity/dpop.h"
#include "identity/transmitters.h"
#include "identity/verifier_impl.h"

namespace sallyport::identity {

namespace asio = boost::asio;

namespace {

std::string ThumbprintOf(const Shown& shown) {
  return shown.certificate != nullptr ? shown.certificate->thumbprint : std::string();
}

}  // namespace

boost::asio::awaitable<void> UntilCalled(std::function<void(std::function<void()>)> start,
                                         std::chrono::steady_clock::time_point deadline) {
  // The refresh ends on another thread; what it may touch is only the executor, and the timer
  // through a weak pointer on that executor, so a coroutine that is gone by then (deadline,
  // cancelled) is not missed.
  auto executor = co_await asio::this_coro::executor;
  auto timer = std::make_shared<asio::steady_timer>(executor, deadline);
  start([executor, weak = std::weak_ptr(timer)] {
    asio::post(executor, [weak] {
      if (auto waiting = weak.lock()) waiting->expires_at(asio::steady_timer::time_point::min());
    });
  });
  boost::system::error_code ended;
  co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ended));
}

boost::asio::awaitable<void> TokenVerifier::WaitForKeys(
    std::string token, std::chrono::steady_clock::time_point deadline) {
  co_await UntilCalled([&](std::function<void()> done) { RefreshThen(token, std::move(done)); },
                       deadline);
}

Task<VerifiedPtr> TokenVerifier::Authenticate(std::string token,
                                              std::chrono::steady_clock::time_point deadline,
                                              std::string resource, Holder holder) {
  bool wants_refresh = false;
  auto verdict = Verify(token, &wants_refresh, resource, holder);
  if (verdict || !wants_refresh) co_return verdict;
  co_await WaitForKeys(token, deadline);
  wants_refresh = false;
  verdict = Verify(token, &wants_refresh, resource, holder);
  if (verdict || !wants_refresh) co_return verdict;
  // Its key was new: now its cluster can be asked.
  co_await WaitForKeys(token, deadline);
  co_return Verify(token, nullptr, resource, holder);
}

Result<Credential> ReadAuthorization(std::string_view field) {
  const size_t space = field.find(' ');
  const auto is = [&](std::string_view scheme) {
    return space == scheme.size() &&
           std::ranges::equal(field.substr(0, space), scheme, [](uint8_t a, uint8_t b) {
             return std::tolower(a) == std::tolower(b);
           });
  };
  const bool dpop = is("DPoP");
  if (!dpop && !is("Bearer"))
    return Fail(Errc::token_malformed, "the Authorization field is no bearer token");
  field.remove_prefix(space);
  while (field.starts_with(' ')) field.remove_prefix(1);
  return Credential{.token = field, .dpop = dpop};
}

VerifiedPtr TokenVerifier::Known(const Shown& shown, std::string_view resource) {
  const auto credential = ReadAuthorization(shown.authorization);
  if (!credential || credential->dpop) return nullptr;
  return Known(credential->token, resource, Holder{.key = {}, .certificate = ThumbprintOf(shown)});
}

Task<VerifiedPtr> TokenVerifier::Admit(Shown shown, std::chrono::steady_clock::time_point deadline,
                                       std::string resource, std::function<Result<>()> before) {
  SALLYPORT_CO_TRY(const Credential credential, ReadAuthorization(shown.authorization));
  if (!Seen(credential.token)) SALLYPORT_CO_CHECK(before());
  Holder holder{.key = {}, .certificate = ThumbprintOf(shown)};
  Proof proof;
  if (credential.dpop) {
    if (shown.proofs != 1)
      co_return Fail(Errc::token_proof_invalid, "there has to be exactly one DPoP field");
    SALLYPORT_CO_TRY(
        proof, ReadProof(shown.proof,
                         {.method = shown.method, .url = shown.url, .token = credential.token},
                         impl_->clock.WallNow()));
    holder.key = proof.key;
  }
  auto verdict = co_await Authenticate(std::string(credential.token), deadline, resource, holder);
  if (verdict && credential.dpop)
    SALLYPORT_CO_CHECK(impl_->proofs.Take(proof, impl_->clock.WallNow()));
  co_return verdict;
}

Task<VerifiedPtr> TokenVerifier::AuthenticateLogin(std::string id_token, IdTokenCheck check,
                                                   std::chrono::steady_clock::time_point deadline) {
  bool wants_refresh = false;
  auto verdict = JudgeLogin(id_token, check, &wants_refresh);
  if (verdict || !wants_refresh) co_return verdict;
  co_await WaitForKeys(id_token, deadline);
  co_return JudgeLogin(id_token, check, nullptr);
}

Task<VerifiedPtr> TokenVerifier::AuthenticateIdJag(std::string token, IdJagCheck check,
                                                   std::chrono::steady_clock::time_point deadline) {
  bool wants_refresh = false;
  auto verdict = JudgeIdJag(token, check, &wants_refresh);
  if (verdict || !wants_refresh) co_return verdict;
  co_await WaitForKeys(token, deadline);
  co_return JudgeIdJag(token, check, nullptr);
}

Task<LogoutToken> TokenVerifier::AuthenticateLogout(
    std::string token, std::chrono::steady_clock::time_point deadline) {
  bool wants_refresh = false;
  auto verdict = JudgeLogout(token, &wants_refresh);
  if (verdict || !wants_refresh) co_return verdict;
  co_await WaitForKeys(token, deadline);
  co_return JudgeLogout(token, nullptr);
}

Task<RevocationToken> TokenVerifier::AuthenticateRevocation(
    std::string token, std::vector<std::string> audiences,
    std::chrono::steady_clock::time_point deadline) {
  bool wants_refresh = false;
  auto verdict = JudgeRevocation(token, audiences, &wants_refresh);
  if (verdict || !wants_refresh) co_return verdict;
  co_await WaitForKeys(token, deadline);
  co_return JudgeRevocation(token, audiences, nullptr);
}

Task<SecEvent> Transmitters::Authenticate(std::string provider, std::string token,
                                          std::chrono::steady_clock::time_point deadline) {
  bool wants_refresh = false;
  auto verdict = Judge(provider, token, &wants_refresh);
  if (verdict || !wants_refresh) co_return verdict;
  co_await UntilCalled(
      [&](std::function<void()> done) { RefreshThen(provider, token, std::move(done)); }, deadline);
  co_return Judge(provider, token, nullptr);
}

}  // namespace sallyport::identity
