#include "api/person_poll.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "api/form.h"
#include "base/bytes.h"
#include "json/document.h"
#include "net/event.h"
#include "obs/metrics.h"

namespace sallyport::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLook{500};
constexpr size_t kMostAsking = 16;
constexpr seconds kEarly{30};  // a clock that differs makes no one gone
// What is kept says which of the two it is.
constexpr std::string_view kRefresh = "refresh:", kAccess = "access:";
constexpr size_t kLongestToken = 16 << 10;
constexpr Nanos kSweepEvery = Nanos(60) * 1'000'000'000;

Nanos In(seconds s) { return std::chrono::nanoseconds(s).count(); }

FetchRequest RequestTo(const LoginProvider& provider, const std::string& url) {
  FetchRequest request;
  request.url = url;
  request.ca_file = provider.ca_file;
  request.allow_addresses = provider.allow_addresses;
  request.allow_loopback_http = provider.allow_loopback_http;
  return request;
}

bool Over(access::State state) {
  return state == access::State::revoked || state == access::State::expired;
}

obs::Counter& Asked(std::string_view provider, std::string_view answer) {
  static auto& family =
      obs::Metrics().counters("sallyport_person_polls_total",
                              "Questions whether a person is still there", {"provider", "answer"});
  return family.With({provider, answer});
}

}  // namespace

bool PersonPoll::Wants(const LoginProvider& provider) const {
  return options_.grants != nullptr &&
         std::ranges::any_of(options_.sources, [&](const Source& source) {
           return source.provider->name == provider.name;
         });
}

Task<> PersonPoll::Keep(const LoginProvider& provider, std::string subject, Given given) {
  Person person{provider.issuer, std::move(subject)};
  Secret kept;
  if (!given.refresh.empty()) {
    kept = Secret(std::string(kRefresh) + std::string(given.refresh.Reveal()));
  } else if (!given.access.empty() && given.access_until > options_.clock.WallNow()) {
    kept = Secret(std::string(kAccess) + std::to_string(given.access_until) + ":" +
                  std::string(given.access.Reveal()));
  }
  if (kept.empty()) co_return Result<>{};
  SALLYPORT_CO_CHECK(co_await options_.grants->Keep(person, std::move(kept)));
  const Nanos now = options_.clock.WallNow();
  const std::lock_guard lock(mutex_);
  Known& known = people_[std::move(person)];
  known.asked_at = known.answered_at = now;
  co_return Result<>{};
}

boost::asio::awaitable<void> PersonPoll::End(const Person& person, std::string why) {
  options_.grants->Forget(person);
  {
    const std::lock_guard lock(mutex_);
    people_.erase(person);
  }
  (void)co_await options_.sessions.Revoke({.issuer = person.issuer, .subject = person.subject},
                                          "poll", std::move(why), "poll");
}

Task<PersonPoll::Answer> PersonPoll::Question(const Source& source, const Person& person) {
  SALLYPORT_CO_TRY(const Secret kept, co_await options_.grants->Open(person));
  std::string_view text = kept.Reveal();
  if (text.starts_with(kRefresh))
    co_return co_await Redeem(source, person, Secret(std::string(text.substr(kRefresh.size()))));
  if (!text.starts_with(kAccess)) co_return Answer::none;
  text.remove_prefix(kAccess.size());
  const size_t colon = text.find(':');
  Nanos until = 0;
  if (colon == text.npos) co_return Answer::none;
  std::from_chars(text.data(), text.data() + colon, until);
  // One that is over is refused whoever asks: that says nothing of the person.
  if (options_.clock.WallNow() + In(kEarly) >= until) co_return Answer::none;
  co_return co_await LookUp(source, person, Secret(std::string(text.substr(colon + 1))));
}

/// What the UserInfo endpoint says (OpenID Connect Core 5.3).
Task<PersonPoll::Answer> PersonPoll::LookUp(const Source& source, const Person& person,
                                            Secret access_token) {
  const LoginProvider& provider = *source.provider;
  SALLYPORT_CO_TRY(const ProviderEndpoints endpoints, co_await options_.logins.Discover(provider));
  if (endpoints.userinfo.empty()) co_return Answer::none;
  FetchRequest request = RequestTo(provider, endpoints.userinfo);
  request.headers = {{"Accept", "application/json"},
                     {"Authorization", "Bearer " + std::string(access_token.Reveal())}};
  SALLYPORT_CO_TRY(const FetchResponse response, co_await options_.workers.Fetch(request));
  if (response.status == 401) co_return Answer::gone;
  const auto document = json::Document::Parse(response.body);
  const bool same = document && document->root()["sub"].string() == person.subject;
  co_return response.status == 200 && same ? Answer::there : Answer::none;
}

/// What the token endpoint says of the person's refresh token; the new one is durable first.
Task<PersonPoll::Answer> PersonPoll::Redeem(const Source& source, const Person& person,
                                            Secret refresh_token) {
  const LoginProvider& provider = *source.provider;
  SALLYPORT_CO_TRY(const ProviderEndpoints endpoints, co_await options_.logins.Discover(provider));
  FetchRequest request = RequestTo(provider, endpoints.token);
  request.method = "POST";
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                     {"Accept", "application/json"}};
  request.body = "grant_type=refresh_token&refresh_token=" + PercentEncode(refresh_token.Reveal());
  if (provider.client_secret.empty()) {
    request.body += "&client_id=" + PercentEncode(provider.client_id);
  } else {
    const std::string both =
        PercentEncode(provider.client_id) + ":" + PercentEncode(provider.client_secret.Reveal());
    request.headers.emplace_back("Authorization", "Basic " + Base64Encode(AsBytes(both)));
  }
  SALLYPORT_CO_TRY(const FetchResponse response, co_await options_.workers.Fetch(request));
  const auto document = json::Document::Parse(response.body);
  if (!document) co_return Answer::none;
  // Nothing else is said of the person: a wrong secret of ours, or a fault over there, is not.
  if (response.status == 400 && document->root()["error"].string() == "invalid_grant")
    co_return Answer::gone;
  if (response.status != 200 || !document->root()["access_token"].string()) co_return Answer::none;
  const auto fresh = document->root()["refresh_token"].string();
  if (fresh && fresh->size() <= kLongestToken && !fresh->empty())
    SALLYPORT_CO_CHECK(co_await options_.grants->Keep(
        person, Secret(std::string(kRefresh) + std::string(*fresh))));
  co_return Answer::there;
}

boost::asio::awaitable<void> PersonPoll::Ask(PersonPoll& self, const Source& source,
                                             Person person) {
  const auto redeemed = co_await self.Question(source, person);
  const Answer answer = redeemed.value_or(Answer::none);
  static constexpr std::array<std::string_view, 3> kNames{"there", "gone", "none"};
  Asked(source.provider->name, kNames[size_t(answer)]).Add();
  const Nanos now = self.options_.clock.WallNow();
  bool too_long = false;
  {
    const std::lock_guard lock(self.mutex_);
    --self.asking_;
    Known& known = self.people_[person];
    known.asking = false;
    if (answer == Answer::there) known.answered_at = now;
    too_long = answer == Answer::none && now - known.answered_at > In(source.unreachable_for);
  }
  if (self.stopped_) co_return;
  if (answer == Answer::gone)
    co_await self.End(person, "the identity provider does not let the person in any more");
  if (too_long)
    co_await self.End(person,
                      "the identity provider did not say for too long that the person is "
                      "still there");
}

/// Who has a session and is due is asked about.
void PersonPoll::Look() {
  const Nanos now = options_.clock.WallNow();
  std::map<Person, Nanos> present;  // and when they last proved who they are
  for (const access::SessionInfo& info : options_.sessions.List()) {
    if (Over(info.state)) continue;
    const op::Principal& who = info.session->who;
    Nanos& at = present[{who.issuer, who.subject}];
    at = std::max(at, info.session->authenticated_at);
  }
  const std::lock_guard lock(mutex_);
  for (const Source& source : options_.sources) {
    for (const auto& [person, proved_at] : present) {
      if (person.issuer != source.provider->issuer) continue;
      const auto [at, fresh] = people_.try_emplace(person);
      Known& known = at->second;
      // After a restart nobody knows who was asked when; the login is what we know.
      if (fresh) known.answered_at = proved_at;
      if (known.asking || now - known.asked_at < In(source.every) || asking_ >= kMostAsking)
        continue;
      known.asking = true;
      known.asked_at = now;
      ++asking_;
      due_.emplace_back(&source, person);
    }
  }
  std::erase_if(people_, [&](const auto& entry) {
    return !entry.second.asking && !present.contains(entry.first) &&
           now - entry.second.answered_at > kSweepEvery;
  });
  if (now - swept_at_ < kSweepEvery) return;
  swept_at_ = now;
  std::vector<Person> keep;
  for (const auto& [person, at] : present) keep.push_back(person);
  for (const auto& [person, known] : people_) keep.push_back(person);
  options_.grants->ForgetAllBut(std::move(keep));
}

boost::asio::awaitable<void> PersonPoll::Run() {
  if (options_.sources.empty() || options_.grants == nullptr) co_return;
  const auto executor = co_await net::ThisExecutor();
  while (!stopped_) {
    Look();
    for (auto& [source, person] : std::exchange(due_, {}))
      net::Spawn(executor, Ask(*this, *source, std::move(person)));
    if (!co_await net::Sleep(kLook)) co_return;
  }
}

}  // namespace sallyport::api
