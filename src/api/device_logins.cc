#include "api/device_logins.h"

#include <algorithm>
#include <arpa/inet.h>
#include <utility>

#include "access/digest.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::api {
namespace {

// No vowels, so that no words come out; no characters that look alike (RFC 8628 section 6.1).
constexpr std::string_view kLetters = "BCDFGHJKLMNPQRSTVWXZ";
constexpr size_t kLength = 8;
constexpr size_t kMostGuessers = 10'000;
constexpr Nanos kGoodFor = std::chrono::nanoseconds(DeviceLogins::kWithin).count();
constexpr Nanos kBetween = std::chrono::nanoseconds(DeviceLogins::kInterval).count();
// A program that waits as long as it was told is never too early by what the way takes.
constexpr Nanos kTolerance = Nanos(500) * 1'000'000;

std::string Digest(std::string_view text) { return Base64UrlEncode(access::DigestToken(text)); }

std::string Written(std::string_view letters) {
  return std::string(letters.substr(0, kLength / 2)) + '-' +
         std::string(letters.substr(kLength / 2));
}

std::string NewUserCode() {
  std::string letters;
  while (letters.size() < kLength) {
    for (const char c : NewRandom(16)) {
      const auto byte = static_cast<unsigned char>(c);
      // Each letter is as likely as any other: what is left over of 256 is thrown away.
      if (byte < 240 && letters.size() < kLength) letters += kLetters[byte % kLetters.size()];
    }
  }
  return Written(letters);
}

/// What counts as one source: an IPv4 address, the /64 of an IPv6 one.
std::string SourceOf(const std::string& address) {
  in6_addr six{};
  if (inet_pton(AF_INET6, address.c_str(), &six) != 1) return address;
  return "6:" + HexEncode(ByteView(six.s6_addr, 8));
}

std::unexpected<Error> Unknown() {
  return Fail(
      Errc::login_code_unknown,
      "no login waits under this code: it is mistyped, used, over, or from before a restart");
}

}  // namespace

std::string NormalUserCode(std::string_view typed) {
  std::string letters;
  if (typed.size() > 64) return letters;
  for (char c : typed) {
    if (c == '-' || c == ' ') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (kLetters.find(c) == kLetters.npos) return {};
    letters += c;
  }
  return letters.size() == kLength ? Written(letters) : std::string();
}

void DeviceLogins::Sweep(Nanos now) {
  std::erase_if(logins_, [&](const auto& entry) {
    if (entry.second.forget_at > now) return false;
    by_user_code_.erase(entry.second.user_code);
    return true;
  });
  std::erase_if(guesses_, [&](const auto& entry) { return entry.second.until <= now; });
}

Result<DeviceLogins::Begun> DeviceLogins::Begin(Asker asker) {
  const Nanos now = clock_.WallNow();
  const std::lock_guard lock(mutex_);
  Sweep(now);
  std::string source = SourceOf(asker.address);
  const auto alike = std::ranges::count_if(logins_, [&](const auto& entry) {
    return entry.second.source == source && entry.second.until > now;
  });
  if (static_cast<size_t>(alike) >= kPerAddress)
    return Fail(Errc::limit_exceeded, "too many logins were begun from this address lately");
  if (logins_.size() >= kMost) return Fail(Errc::limit_exceeded, "too many logins wait here");
  Begun begun{.device_code = NewHandle(32), .user_code = NewUserCode()};
  while (by_user_code_.contains(Digest(begun.user_code))) begun.user_code = NewUserCode();
  Login login;
  login.asker = std::move(asker);
  login.asker.asked_at = now;
  login.source = std::move(source);
  login.user_code = Digest(begun.user_code);
  login.until = now + kGoodFor, login.forget_at = now + 2 * kGoodFor;
  login.interval = kBetween;
  std::string key = Digest(begun.device_code);
  by_user_code_.emplace(login.user_code, key);
  logins_.emplace(std::move(key), std::move(login));
  return begun;
}

Result<DeviceLogins::Login*> DeviceLogins::Waiting(std::string_view user_code,
                                                   const std::string& person) {
  const Nanos now = clock_.WallNow();
  if (guesses_.size() >= kMostGuessers) Sweep(now);
  const auto guesses = guesses_.find(person);
  if (guesses != guesses_.end() && guesses->second.until > now && guesses->second.wrong >= kGuesses)
    return Fail(Errc::rate_limited, "too many wrong codes; wait ten minutes");
  const auto code = by_user_code_.find(Digest(user_code));
  const auto login = code == by_user_code_.end() ? logins_.end() : logins_.find(code->second);
  if (login != logins_.end() && login->second.state == State::pending &&
      login->second.until > now && !user_code.empty())
    return &login->second;
  Guesses& count = guesses_[person];
  if (count.until <= now) count = {.wrong = 0, .until = now + kGoodFor};
  ++count.wrong;
  return Unknown();
}

Result<DeviceLogins::Asker> DeviceLogins::Find(std::string_view user_code,
                                               const std::string& person) {
  const std::lock_guard lock(mutex_);
  SALLYPORT_TRY(const Login* login, Waiting(user_code, person));
  return login->asker;
}

Result<DeviceLogins::Asker> DeviceLogins::Approve(std::string_view user_code,
                                                  const std::string& person,
                                                  access::Opening opening) {
  const std::lock_guard lock(mutex_);
  SALLYPORT_TRY(Login * login, Waiting(user_code, person));
  login->state = State::approved;
  login->opening = std::move(opening);
  return login->asker;
}

Result<DeviceLogins::Asker> DeviceLogins::Deny(std::string_view user_code,
                                               const std::string& person) {
  const std::lock_guard lock(mutex_);
  SALLYPORT_TRY(Login * login, Waiting(user_code, person));
  login->state = State::denied;
  return login->asker;
}

Result<access::Opening> DeviceLogins::Poll(std::string_view device_code, std::string* session) {
  const Nanos now = clock_.WallNow();
  const std::lock_guard lock(mutex_);
  const auto found = logins_.find(Digest(device_code));
  if (found == logins_.end() || found->second.forget_at <= now) return Unknown();
  Login& login = found->second;
  if (login.state == State::used) {
    *session = login.session;
    return Fail(Errc::login_code_unknown, "the code was used before");
  }
  if (login.state == State::denied) return Fail(Errc::login_denied, "the person said no");
  if (login.until <= now)
    return Fail(Errc::login_expired, "nobody confirmed the login within ten minutes");
  // A clock that was put back makes nobody wait for what is to come.
  const Nanos since = now - std::exchange(login.polled_at, now);
  if (since >= 0 && since + kTolerance < login.interval) {
    login.interval += kBetween;
    return Fail(Errc::login_slow_down, "asked for again too soon");
  }
  if (login.state == State::pending) return Fail(Errc::login_pending, "nobody has decided yet");
  login.state = State::used;
  return std::move(login.opening);
}

void DeviceLogins::Opened(std::string_view device_code, std::string session) {
  const std::lock_guard lock(mutex_);
  const auto found = logins_.find(Digest(device_code));
  if (found != logins_.end()) found->second.session = std::move(session);
}

}  // namespace sallyport::api
