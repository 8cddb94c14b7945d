// The waiting half of TokenVerifier, apart because it is the only part that sees asio's machinery.
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "identity/await_keys.h"
#include "identity/transmitters.h"
#include "identity/verifier.h"

namespace sallyport::identity {

namespace asio = boost::asio;

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
                                              std::string resource) {
  bool wants_refresh = false;
  auto verdict = Verify(token, &wants_refresh, resource);
  if (verdict || !wants_refresh) co_return verdict;
  co_await WaitForKeys(token, deadline);
  co_return Verify(token, nullptr, resource);
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
