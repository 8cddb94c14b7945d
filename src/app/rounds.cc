#include "app/rounds.h"

#include <condition_variable>

#include "app/facts.h"
#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kPause{1};
constexpr std::chrono::minutes kLook{1};  // between two looks for reviews that are due
constexpr std::chrono::hours kAgain{1};   // after one that failed
constexpr const char* kRequest = ".review";

}  // namespace

Rounds::Rounds(const config::Root& root, gate::Gate& gate,
               std::shared_ptr<const mask::Masker> masker)
    : gate_(gate),
      data_dir_(root.server.data_dir),
      masker_(std::move(masker)),
      integrity_(
          root, [&gate](op::Evidence e) { return gate.Record(std::move(e)); },
          [&gate] { return gate.rules()->version(); }),
      reviews_(std::make_shared<review::Desk>(review::Desk::Options{
          .data_dir = root.server.data_dir,
          .config = root.review,
          .record = [&gate](op::Evidence e) { return gate.Record(std::move(e)); },
          .seal =
              [this](const std::string& json) {
                return Facts(*masker_.load(), nlohmann::ordered_json::parse(json, nullptr, false));
              }})) {}

Result<std::unique_ptr<Rounds>> Rounds::Make(const config::Root& root, const SecretStores& stores,
                                             const BypassWatch::Logins& logins, gate::Gate& gate,
                                             std::shared_ptr<const mask::Masker> masker) {
  std::unique_ptr<Rounds> rounds(new Rounds(root, gate, masker));
  const auto record = [&gate](op::Evidence e) { return gate.Record(std::move(e)); };
  SALLYPORT_TRY(rounds->bypass_,
                BypassWatch::Make(root, stores, logins, record, std::move(masker)));
  rounds->bypass_->DeclareMetrics();
  obs::Metrics().Observe("sallyport_reviews_overdue", "Days whose review nobody has signed in time",
                         [reviews = rounds->reviews_] { return double(reviews->overdue()); });
  return rounds;
}

void Rounds::Start(net::Shards& shards) {
  bypass_->Start(shards);
  worker_ = std::jthread([this](const std::stop_token& stop) { Work(stop); });
}

void Rounds::Stop() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

void Rounds::Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker) {
  bypass_->Reload(masker);
  masker_ = std::move(masker);
  integrity_.Reload(root);
  reviews_->Reload(root.review);
}

std::vector<ReadyCheck> Rounds::Checks() const {
  std::vector<ReadyCheck> checks = bypass_->Checks();
  checks.push_back(integrity_.Check());
  const std::lock_guard lock(mutex_);
  checks.push_back({"daily review", review_trouble_.empty(), review_trouble_, /*alarm_only=*/true});
  return checks;
}

void Rounds::MakeReview(const std::string& date, const std::string& how) {
  const Result<> made = reviews_->Make(date, how);
  if (made) {
    obs::Log(obs::Level::info, "review.made", {{"date", date}});
  } else {
    obs::Log(obs::Level::error, "review.failed", {{"date", date}, {"detail", made.error().detail}});
  }
  const std::lock_guard lock(mutex_);
  review_trouble_ =
      made ? "" : "the review of " + date + " could not be made: " + made.error().detail;
}

void Rounds::MakeReviews(const std::stop_token& stop) {
  const auto due = reviews_->Due();
  if (!due) return;  // no log yet
  for (size_t i = 0; i < due->size() && !stop.stop_requested(); ++i)
    MakeReview((*due)[i], i + 1 == due->size() ? "daily" : "made up later");
}

/// What `review make` has asked for: a file that is named after the day.
void Rounds::TakeRequests(const std::stop_token& stop) {
  std::error_code error;
  for (const auto& file : fs::directory_iterator(data_dir_ / "reads", error)) {
    if (file.path().extension() != kRequest || stop.stop_requested()) continue;
    const std::string date = file.path().stem();
    fs::remove(file.path(), error);
    if (review::StartOfDay(date)) MakeReview(date, "asked for");
  }
}

void Rounds::Work(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any woken;
  auto next = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    integrity_.Tick(*masker_.load());
    TakeRequests(stop);
    if (const auto now = std::chrono::steady_clock::now(); now >= next) {
      MakeReviews(stop);
      const std::lock_guard lock(mutex_);
      next = now + (review_trouble_.empty() ? std::chrono::milliseconds(kLook)
                                            : std::chrono::milliseconds(kAgain));
    }
    std::unique_lock lock(mutex);
    woken.wait_for(lock, stop, kPause, [] { return false; });
  }
}

}  // namespace sallyport::app
