#include "api/ssf_poll.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/ssf.h"
#include "json/document.h"
#include "net/event.h"
#include "obs/log.h"

namespace sallyport::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kMostEvents = 32;  // asked for at once
constexpr size_t kMostBytes = 1 << 20;
constexpr int kTries = 5;
constexpr seconds kLongestPause{300};
constexpr milliseconds kLook{100};

auto SteadyNow() { return std::chrono::steady_clock::now().time_since_epoch(); }

/// What may be different the next time: the event stays with the transmitter.
bool ForNow(Errc code) {
  switch (code) {
    case Errc::identity_provider_down:
    case Errc::state_unavailable:
    case Errc::ledger_unavailable:
    case Errc::recording_unavailable:
    case Errc::recording_destroyed:
    case Errc::recording_damaged:
    case Errc::limit_exceeded:
    case Errc::draining:
    case Errc::cancelled:
    case Errc::internal:
      return true;
    default:
      return false;
  }
}

/// What time may cure, but not for ever: one that stays would keep others from being fetched.
bool MayPass(Errc code) {
  return code == Errc::token_key_unknown || code == Errc::token_not_yet_valid;
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> ReadSets(std::string_view body) {
  const auto bad = [] { return Fail(Errc::upstream_protocol, "the answer holds no events"); };
  const auto document = json::Document::Parse(body, {.max_bytes = kMostBytes, .max_depth = 8});
  if (!document || !document->root().is(json::Kind::object)) return bad();
  const json::Value sets = document->root()["sets"];
  if (sets && !sets.is(json::Kind::object)) return bad();
  std::vector<std::pair<std::string, std::string>> out;
  for (auto set = sets.first(); set; set = set.next()) {
    const auto token = set.string();
    if (!token || set.key().empty() || set.key().size() > 1024) return bad();
    out.emplace_back(set.key(), *token);
  }
  return out;
}

SsfPoll::SsfPoll(Options options, Signals& signals, Workers& workers)
    : options_(std::move(options)),
      signals_(signals),
      workers_(workers),
      good_at_(SteadyNow().count()) {}

double SsfPoll::age() const {
  return std::chrono::duration<double>(SteadyNow() -
                                       std::chrono::steady_clock::duration(good_at_.load()))
      .count();
}

Task<SsfPoll::Answer> SsfPoll::Ask() {
  SALLYPORT_CO_TRY(const Secret token, options_.token());
  nlohmann::ordered_json body{{"maxEvents", kMostEvents}, {"returnImmediately", true}};
  if (!acks_.empty()) body["ack"] = acks_;
  for (const auto& [id, error] : errors_)
    body["setErrs"][id] = {{"err", error.first}, {"description", error.second}};
  FetchRequest request = options_.request;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"},
                     {"Accept", "application/json"},
                     {"Authorization", "Bearer " + std::string(token.Reveal())}};
  request.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  request.max_body = kMostBytes;
  SALLYPORT_CO_TRY(const FetchResponse response, co_await workers_.Fetch(std::move(request)));
  if (response.status != 200)
    co_return Fail(Errc::upstream_protocol,
                   "the transmitter answered with status " + std::to_string(response.status));
  acks_.clear();
  errors_.clear();
  Answer answer;
  SALLYPORT_CO_TRY(answer.sets, ReadSets(response.body));
  co_return answer;
}

boost::asio::awaitable<void> SsfPoll::Take(const Answer& answer) {
  for (const auto& [id, set] : answer.sets) {
    if (stopped_) co_return;
    const auto taken = co_await signals_.Deliver(options_.provider, set, "ssf-poll");
    if (taken) {
      acks_.push_back(id);
      tries_.erase(id);
    } else if (const Errc why = taken.error().code; MayPass(why) && ++tries_[id] < kTries) {
      continue;
    } else if (!ForNow(why)) {
      tries_.erase(id);
      errors_[id] = {std::string(EventErrorName(taken.error().code)),
                     std::string(ReasonCode(taken.error().code))};
      signals_.Refused(options_.provider, taken.error().code);
    }
  }
}

/// Whether there was anything, so that it is worth asking again at once.
Task<bool> SsfPoll::Round() {
  SALLYPORT_CO_TRY(const Answer answer, co_await Ask());
  good_at_ = SteadyNow().count();
  co_await Take(answer);
  // Acknowledgements go out with the next question; what stays with the transmitter for now is not
  // asked for again and again.
  co_return !acks_.empty() || !errors_.empty();
}

boost::asio::awaitable<void> SsfPoll::Run() {
  seconds pause = options_.every;
  bool failing = false;
  while (!stopped_) {
    const auto again = co_await Round();
    if (!again && !std::exchange(failing, true))
      obs::Log(obs::Level::warn, "ssf.poll_failed",
               {{"provider", options_.provider}, {"detail", again.error().detail}});
    if (again && std::exchange(failing, false))
      obs::Log(obs::Level::info, "ssf.poll_works", {{"provider", options_.provider}});
    if (again && *again) continue;
    pause = again ? options_.every : std::min(2 * pause, std::max(options_.every, kLongestPause));
    const auto until = std::chrono::steady_clock::now() + pause;
    while (!stopped_ && std::chrono::steady_clock::now() < until) {
      if (!co_await net::Sleep(kLook)) co_return;
    }
  }
}

}  // namespace sallyport::api
