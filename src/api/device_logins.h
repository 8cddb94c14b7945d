#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "access/sessions.h"
#include "base/clock.h"
#include "base/result.h"

namespace sallyport::api {

/// What somebody types in the way they like as the gate writes it: eight letters of
/// "BCDFGHJKLMNPQRSTVWXZ" with a hyphen in the middle; empty: it is no such code.
std::string NormalUserCode(std::string_view typed);

/// Logins of programs that have no browser: a program waits with a device code, a person confirms
/// the user code that it shows with a browser elsewhere (RFC 8628).
///
/// In memory: a restart means that one begins again, and every code from before is unknown. A login
/// is good for ten minutes and one session; who has no right to it can do no more than guess, and a
/// person has ten wrong guesses in ten minutes against 20^8 codes. Bounded; thread-safe. Clocks:
/// the wall's.
class DeviceLogins {
 public:
  static constexpr std::chrono::minutes kWithin{10};
  static constexpr std::chrono::seconds kInterval{5};
  static constexpr size_t kPerAddress = 60;  // begun in ten minutes; IPv6: of one /64
  static constexpr size_t kMost = 5'000;
  static constexpr uint32_t kGuesses = 10;  // of one person in ten minutes

  explicit DeviceLogins(const Clock& clock) : clock_(clock) {}
  DeviceLogins(const DeviceLogins&) = delete;

  /// Who asks, as they say themselves but for the address: shown to the person, trusted for
  /// nothing.
  struct Asker {
    std::string host, program, reason;
    std::string address;
    Nanos asked_at = 0;
  };
  struct Begun {
    std::string device_code;  // 256 bits, for the program alone
    std::string user_code;    // "BCDF-GHJK"
  };
  /// limit_exceeded: too many from this address, or at all.
  Result<Begun> Begin(Asker asker);

  /// The login that waits under a code that `person` has typed. login_code_unknown: none; decided
  /// or over: the same, so that a guess tells nothing. rate_limited: too many wrong guesses.
  Result<Asker> Find(std::string_view user_code, const std::string& person);
  /// The person lets the program in, or not: once. Errors as Find's.
  Result<Asker> Approve(std::string_view user_code, const std::string& person,
                        access::Opening opening);
  Result<Asker> Deny(std::string_view user_code, const std::string& person);

  /// What the program gets: login_pending; login_slow_down (sooner than its interval, which grows
  /// by five seconds); login_denied, login_expired; login_code_unknown. The opening, once: after
  /// that the code is worthless, and `*session` is set to the session that it opened, which has to
  /// end: two hold the code.
  Result<access::Opening> Poll(std::string_view device_code, std::string* session);
  /// Which session the code has opened.
  void Opened(std::string_view device_code, std::string session);

 private:
  enum class State : uint8_t { pending, approved, denied, used };
  struct Login {
    Asker asker;
    std::string source;     // of the address, as it counts
    std::string user_code;  // digest
    State state = State::pending;
    access::Opening opening;
    std::string session;
    Nanos until = 0;      // then it can be neither confirmed nor used
    Nanos forget_at = 0;  // until then its program is told what became of it
    Nanos polled_at = 0, interval = 0;
  };
  struct Guesses {
    uint32_t wrong = 0;
    Nanos until = 0;
  };
  using Table = std::map<std::string, Login, std::less<>>;  // by the digest of the device code

  void Sweep(Nanos now);  // these with mutex_
  Result<Login*> Waiting(std::string_view user_code, const std::string& person);

  const Clock& clock_;
  std::mutex mutex_;
  Table logins_;
  std::map<std::string, std::string, std::less<>> by_user_code_;  // digests → key of logins_
  std::map<std::string, Guesses, std::less<>> guesses_;           // by person
};

}  // namespace sallyport::api
