#include "credential/wallet.h"

namespace sallyport::credential {
namespace {

constexpr size_t kThreads = 4;  // where there is more than one thing to fetch
/// Who was seen within it may be about to get something.
constexpr std::chrono::minutes kFresh{5};

}  // namespace

std::string CallerKey(const op::Principal& who) {
  return who.issuer + '\n' + who.subject + '\n' + who.agent + '\n' + who.client_id + '\n' +
         who.name;
}

Wallet::Wallet(const std::string& connection, Holds holds, Obtain obtain, const Clock& clock)
    : holds_(holds),
      obtain_(std::move(obtain)),
      clock_(clock),
      materials_(connection, clock, holds == Holds::one_for_all ? 1 : kThreads) {}

std::string Wallet::KeyOf(const Outgoing& request, std::string_view kind) const {
  if (holds_ == Holds::one_for_all) return {};
  const op::Principal& who = request.caller->who;
  return CallerKey(who) + '\n' + who.session + '\n' + std::string(kind);
}

void Wallet::Remember(const std::string& key, const op::Principal& who) {
  const Steady now = clock_.SteadyNow();
  const std::lock_guard lock(mutex_);
  const auto at = callers_.find(key);
  if (at != callers_.end()) {
    at->second.seen = now;
    return;
  }
  if (callers_.size() >= 2 * Renewal::kMost) {
    std::erase_if(callers_, [&](const auto& caller) {
      return caller.second.seen + kFresh < now && !materials_.Knows(caller.first);
    });
  }
  callers_.try_emplace(key, who, now);
}

Task<MaterialPtr> Wallet::For(const Outgoing& request, std::string_view kind) {
  if (holds_ == Holds::one_for_each_caller && request.caller == nullptr)
    co_return Fail(Errc::upstream_credential_failed, "there is no caller to name");
  const std::string key = KeyOf(request, kind);
  Renewal::Obtain obtain;
  if (holds_ == Holds::one_for_all) {
    obtain = [this](std::stop_token stop) { return obtain_({}, std::move(stop)); };
  } else {
    Remember(key, request.caller->who);  // first: an end meanwhile finds them
    obtain = [this, who = request.caller->who](std::stop_token stop) {
      return obtain_(who, std::move(stop));
    };
  }
  if (MaterialPtr known = materials_.Known(key, obtain)) co_return known;
  co_return co_await materials_.Get(key, std::move(obtain));
}

bool Wallet::Refused(const Outgoing& request, const MaterialPtr& used, std::string_view kind) {
  if (holds_ == Holds::one_for_each_caller && request.caller == nullptr) return false;
  return materials_.Refused(KeyOf(request, kind), used);
}

void Wallet::Forget(const std::function<bool(const op::Principal&)>& whom) {
  const std::lock_guard lock(mutex_);
  std::erase_if(callers_, [&](const auto& caller) {
    if (!whom(caller.second.who)) return false;
    materials_.Forget(caller.first);
    return true;
  });
}

}  // namespace sallyport::credential
