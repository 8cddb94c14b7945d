#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "op/evidence.h"
#include "op/session.h"
#include "review/config.h"
#include "review/judge.h"

namespace sallyport::review {

/// Makes the review of each day and takes the signatures under it; `<data_dir>/reviews` keeps what
/// was counted for the days to come, and which days are done. The log is what counts: these files
/// can be deleted, and then reviews are made again. Thread-safe.
class Desk {
 public:
  struct Options {
    std::filesystem::path data_dir;
    Config config;
    std::function<Result<>(op::Evidence)> record;
    std::function<MaskedText(const std::string& json)> seal;  // facts
    const Clock& clock = SystemClock();
  };
  explicit Desk(Options options);

  /// Who may sign, and when, from here on.
  void Reload(Config config);

  /// Days whose review should be there by now and is not, oldest first: from the first day of the
  /// log on, 31 at most. Missed days are among them.
  Result<std::vector<std::string>> Due() const;

  /// Reads the day and those before it, and records review.made. `how`: constant text, "daily",
  /// "made up later". A day that is not over is refused (request_malformed). May take long; one
  /// thread.
  Result<> Make(const std::string& date, const std::string& how);

  /// Whether the configuration names this person. False also where it names nobody: then the roles
  /// auditor and admin may.
  bool names_signers() const;
  bool MaySign(const op::Principal& who) const;

  struct Signed {
    bool own_deviation = false;  // the review lists something about this very person
  };
  /// Records review.signed. not_found: there is no review of that day; request_malformed: no date.
  /// `note`: what the person says, masked.
  Result<Signed> Sign(const op::Principal& who, const std::string& date, MaskedText note);

  /// Days with a review that nobody has signed within the configured time; for an alarm.
  uint64_t overdue() const;

 private:
  std::filesystem::path FileOf(const std::string& date, const char* what) const;
  Result<Day> Counted(const std::string& date, Nanos first) const;
  Result<Nanos> FirstDay() const;

  const Options options_;
  mutable std::mutex mutex_;
  Config config_;  // under it
};

}  // namespace sallyport::review
