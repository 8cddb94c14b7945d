#include "app/rotating_secret.h"

#include "obs/log.h"

namespace sallyport::app {

Result<std::shared_ptr<RotatingSecret>> RotatingSecret::Make(const secrets::Ref& ref) {
  SALLYPORT_TRY(Secret value, secrets::Resolve(ref));
  return std::shared_ptr<RotatingSecret>(new RotatingSecret(ref, std::move(value)));
}

Secret RotatingSecret::Get() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - read_at_ > kLookAgain) {
    read_at_ = now;
    if (Result<Secret> fresh = secrets::Resolve(ref_)) {
      value_ = std::move(*fresh);
    } else {
      obs::Log(obs::Level::warn, "secrets.not_renewed", {{"detail", fresh.error().detail}});
    }
  }
  return value_;
}

}  // namespace sallyport::app
