#include "approval/webhooks.h"

#include <atomic>
#include <condition_variable>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>

#include "json/document.h"

namespace sallyport::approval {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Request Waiting(std::string id = "a_0123456789abcdef") {
  Request r;
  r.id = std::move(id);
  r.flow = "leads-one";
  r.requester = {.issuer = "https://idp", .subject = "agent-refunds", .agent = "agent-refunds"};
  r.connection = "payments";
  r.verb = op::Verb::tool_call;
  r.resource = "refund_order";
  r.effect = op::Effect::call;
  r.digest = std::string(64, 'a');
  r.rules = {"refund-large"};
  r.created = SystemClock().WallNow();
  r.expires = r.created + Nanos{900} * 1'000'000'000;
  return r;
}

/// A receiver that answers as told, and what the webhooks said about it.
class WebhooksTest : public testing::Test {
 protected:
  Webhooks::Options Make(std::vector<Webhook> hooks) {
    return {.hooks = std::move(hooks),
            .fetch = [this](const FetchRequest& request) { return Answer(request); },
            .queue = 2,
            .first_wait = 1ms,
            .tries = 3,
            .clock = &SystemClock(),
            .url_of = [](const std::string& id) { return "https://gate/approvals/" + id; },
            .pending = [this](const std::string&) { return pending.load(); },
            .notified =
                [this](const std::string& id, const std::string& name, bool ok) {
                  const std::lock_guard lock(mutex);
                  told.push_back(id + " " + name + (ok ? " ok" : " failed"));
                  changed.notify_all();
                }};
  }
  Result<FetchResponse> Answer(const FetchRequest& request) {
    std::unique_lock lock(mutex);
    asked.push_back(request);
    changed.notify_all();
    if (request.url.find("hangs") != std::string::npos) {
      while (!request.stop.stop_requested()) changed.wait_for(lock, 5ms);
      return Fail(Errc::cancelled);
    }
    const int status = statuses.empty() ? 200 : statuses.front();
    if (statuses.size() > 1) statuses.erase(statuses.begin());
    if (status == 0) return Fail(Errc::upstream_unreachable);
    return FetchResponse{.status = status};
  }
  void AwaitTold(size_t n) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 10s, [&] { return told.size() >= n; }));
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<FetchRequest> asked;
  std::vector<std::string> told;
  std::vector<int> statuses;
  std::atomic<bool> pending = true;
};

Webhook Hook(std::string name = "leads-one/1", std::string url = "https://chat/hook") {
  return {.name = std::move(name),
          .flow = "leads-one",
          .url = Secret(std::move(url)),
          .key = Secret("whsec-test")};
}

TEST_F(WebhooksTest, SignedOnceDelivered) {
  Webhooks webhooks(Make({Hook()}));
  webhooks.Tell(Waiting());
  AwaitTold(1);
  EXPECT_THAT(told, ElementsAre("a_0123456789abcdef leads-one/1 ok"));
  ASSERT_EQ(asked.size(), 1);
  EXPECT_EQ(asked[0].method, "POST");
  std::string signature, delivery;
  for (const auto& [name, value] : asked[0].headers) {
    if (name == "X-Sallyport-Signature") signature = value;
    if (name == "X-Sallyport-Delivery") delivery = value;
  }
  const int64_t seconds = std::stoll(signature.substr(2));
  EXPECT_EQ(signature, WebhookSignature(Secret("whsec-test"), seconds, asked[0].body));
  EXPECT_NE(signature, WebhookSignature(Secret("other"), seconds, asked[0].body));
  EXPECT_NE(signature, WebhookSignature(Secret("whsec-test"), seconds, asked[0].body + " "));
  EXPECT_NE(signature, WebhookSignature(Secret("whsec-test"), seconds + 1, asked[0].body));
  EXPECT_EQ(delivery, "a_0123456789abcdef/leads-one/1");
}

TEST_F(WebhooksTest, OnlyWhatBeginsToWaitAndOnlyItsFlow) {
  Webhooks webhooks(Make({Hook()}));
  Request other = Waiting("a_other");
  other.flow = "dba";
  webhooks.Tell(other);
  Request voted = Waiting("a_voted");
  voted.votes.emplace_back();
  webhooks.Tell(voted);
  Request over = Waiting("a_over");
  over.state = State::denied;
  webhooks.Tell(over);
  webhooks.Tell(Waiting("a_this"));
  AwaitTold(1);
  EXPECT_THAT(told, ElementsAre("a_this leads-one/1 ok"));
  EXPECT_EQ(asked.size(), 1);
}

TEST_F(WebhooksTest, TriedAgainThenGivenUp) {
  statuses = {500, 0, 204};
  Webhooks webhooks(Make({Hook()}));
  webhooks.Tell(Waiting("a_1"));
  AwaitTold(1);
  EXPECT_EQ(asked.size(), 3);
  {
    const std::lock_guard lock(mutex);
    statuses = {302};  // a redirect is not followed and is no delivery
  }
  webhooks.Tell(Waiting("a_2"));
  AwaitTold(2);
  EXPECT_EQ(asked.size(), 6);
  EXPECT_THAT(told, ElementsAre("a_1 leads-one/1 ok", "a_2 leads-one/1 failed"));
}

TEST_F(WebhooksTest, DecidedMeanwhileIsNotTold) {
  pending = false;
  {
    Webhooks webhooks(Make({Hook()}));
    webhooks.Tell(Waiting());
    for (int i = 0; i < 200 && webhooks.queued() > 0; ++i) std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(asked.empty());
  EXPECT_TRUE(told.empty());
}

TEST_F(WebhooksTest, OneThatHangsHoldsUpNothing) {
  const auto begin = std::chrono::steady_clock::now();
  {
    Webhooks webhooks(Make({Hook("slow", "https://hangs/"), Hook("good")}));
    webhooks.Tell(Waiting("a_0"));
    {
      std::unique_lock lock(mutex);  // until both have taken theirs
      ASSERT_TRUE(
          changed.wait_for(lock, 10s, [&] { return asked.size() == 2 && told.size() == 1; }));
    }
    for (const char* id : {"a_1", "a_2", "a_3"}) {
      webhooks.Tell(Waiting(id));
      const std::string good = std::string(id) + " good ok";
      std::unique_lock lock(mutex);
      ASSERT_TRUE(
          changed.wait_for(lock, 10s, [&] { return std::ranges::find(told, good) != told.end(); }));
    }
    // Its queue holds two: the third message for it is dropped, and said to be.
    EXPECT_EQ(webhooks.queued(), 2);
    const std::lock_guard lock(mutex);
    EXPECT_THAT(told, testing::Contains("a_3 slow failed"));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 8s);  // ending does not wait for it
}

TEST(WebhookBody, SaysWhatWaitsAndNothingOfIt) {
  Request request = Waiting();
  request.why = "amount is over 100";
  const std::string body =
      WebhookBody(Webhook::Format::json, request, "https://gate/approvals/a_1");
  const auto document = json::Document::Parse(body);
  ASSERT_TRUE(document) << body;
  EXPECT_EQ(document->root()["requester"]["agent"].string(), "agent-refunds");
  EXPECT_EQ(document->root()["resource"].string(), "refund_order");
  EXPECT_EQ(document->root()["url"].string(), "https://gate/approvals/a_1");
  EXPECT_THAT(body, Not(HasSubstr("arguments")));
}

TEST(WebhookBody, SlackTextCannotBeBent) {
  Request request = Waiting();
  request.requester.agent = "x> <https://evil|approve> <!channel> *b* `c`\nnew line & co";
  const std::string body =
      WebhookBody(Webhook::Format::slack, request, "https://gate/approvals/a_1");
  const auto document = json::Document::Parse(body);
  ASSERT_TRUE(document) << body;
  const std::string text(document->root()["text"].string().value());
  EXPECT_THAT(
      text,
      HasSubstr("x&gt; &lt;https://evil|approve&gt; &lt;!channel&gt;  b   c  new line &amp; co"));
  EXPECT_THAT(text, HasSubstr("<https://gate/approvals/a_1>"));
  EXPECT_EQ(std::ranges::count(text, '<'), 1);
}

}  // namespace
}  // namespace sallyport::approval
