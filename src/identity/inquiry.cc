#include "identity/inquiry.h"

#include <algorithm>
#include <utility>

#include "obs/metrics.h"

namespace sallyport::identity {
namespace {

void Count(const std::string& provider, std::string_view outcome) {
  static auto& family = obs::Metrics().counters(
      "sallyport_token_inquiries_total",
      "Questions to identity providers and clusters about single tokens, by what came of them",
      {"provider", "outcome"});
  family.With({provider, outcome}).Add();
}

template <class Map, class Over>
void MakeRoom(Map& map, size_t most, Over over) {
  if (map.size() < most) return;
  std::erase_if(map, over);
  while (map.size() >= most) map.erase(map.begin());
}

}  // namespace

Inquiry::Inquiry(Options options, Ask ask, const Clock& clock)
    : options_(std::move(options)),
      ask_(std::move(ask)),
      clock_(clock),
      filled_at_(clock.SteadyNow()) {}

Inquiry::~Inquiry() { Stop(); }

void Inquiry::Start() {
  for (size_t i = threads_.size(); i < kThreads; ++i) threads_.emplace_back([this] { Loop(); });
}

void Inquiry::RequestStop() {
  std::vector<std::function<void()>> done;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [digest, flight] : flights_) {
      std::ranges::move(flight.done, std::back_inserter(done));
      flight.done.clear();
    }
  }
  stop_.request_stop();
  wake_.notify_all();
  for (auto& f : done) f();
}

void Inquiry::Stop() {
  RequestStop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Inquiry::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    Next(lock);
  }
}

bool Inquiry::RunDue() {
  std::unique_lock lock(mutex_);
  return !stopping_ && Next(lock);
}

bool Inquiry::Next(std::unique_lock<std::mutex>& lock) {
  if (queue_.empty()) return false;
  const access::TokenDigest digest = queue_.front();
  queue_.pop_front();
  const std::string token = flights_.at(digest).token;
  lock.unlock();
  Result<std::string> said = ask_(token, stop_.get_token());
  Count(options_.provider, said                                    ? "good"
                           : said.error().code == options_.refused ? "refused"
                                                                   : "failed");
  lock.lock();
  Keep(digest, std::move(said), clock_.SteadyNow());
  Flight flight = std::move(flights_.at(digest));
  flights_.erase(digest);
  waiting_ -= flight.done.size();
  lock.unlock();
  for (auto& f : flight.done) f();
  lock.lock();
  return true;
}

void Inquiry::Keep(const access::TokenDigest& digest, Result<std::string> said, Steady now) {
  const auto over = [now](const auto& entry) { return entry.second.until <= now; };
  MakeRoom(kept_, kMostKept, over);
  MakeRoom(good_before_, kMostKept, [now](const auto& entry) { return entry.second <= now; });
  std::chrono::nanoseconds lasts = kFailedFor;
  if (said) {
    lasts = options_.good_for;
    good_before_[digest] = now + kGoodBefore;
  } else if (said.error().code == options_.refused) {
    lasts = kRefusedFor;
    good_before_.erase(digest);
  }
  kept_.insert_or_assign(digest, Kept{std::move(said), now + lasts});
}

std::optional<Inquiry::Answer> Inquiry::Find(const access::TokenDigest& digest) {
  const Steady now = clock_.SteadyNow();
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(digest);
  if (found == kept_.end()) return std::nullopt;
  if (now >= found->second.until) {
    kept_.erase(found);
    return std::nullopt;
  }
  return Answer{found->second.said, found->second.until - now};
}

bool Inquiry::MayAsk(const access::TokenDigest& digest, Steady now) {
  if (stopping_ || waiting_ >= kMostWaiting) return false;
  if (const auto good = good_before_.find(digest); good != good_before_.end() && now < good->second)
    return true;
  const double seconds = std::chrono::duration<double>(now - filled_at_).count();
  allowance_ = std::min<double>(kBurst, allowance_ + seconds * kPerSecond);
  filled_at_ = now;
  if (allowance_ < 1) return false;
  allowance_ -= 1;
  return true;
}

void Inquiry::AskThen(const std::string& token, std::function<void()> done) {
  const access::TokenDigest digest = access::DigestToken(token);
  const Steady now = clock_.SteadyNow();
  bool asked = false;
  {
    const std::lock_guard lock(mutex_);
    const auto flight = flights_.find(digest);
    const bool joins = flight != flights_.end() && !stopping_ && waiting_ < kMostWaiting;
    const bool turned_away = !joins && !MayAsk(digest, now);
    // Also those who look a moment later are told that it is the flood.
    if (turned_away) turned_away_ = true;
    if (allowance_ > kBurst / 2) turned_away_ = false;
    if (joins) {
      flight->second.done.push_back(std::move(done));
      ++waiting_;
      return;
    }
    if (!joins && !turned_away) {
      Flight fresh{token, {}};
      fresh.done.push_back(std::move(done));
      flights_.emplace(digest, std::move(fresh));
      queue_.push_back(digest);
      ++waiting_;
      asked = true;
    }
  }
  if (asked) {
    wake_.notify_one();
  } else {
    Count(options_.provider, "not asked");
    done();
  }
}

Errc Inquiry::WhyNot() {
  const std::lock_guard lock(mutex_);
  return turned_away_ ? Errc::limit_exceeded : Errc::identity_provider_down;
}

void Inquiry::Forget() {
  const std::lock_guard lock(mutex_);
  kept_.clear();
  good_before_.clear();
}

}  // namespace sallyport::identity
