#include "gate/gate.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <type_traits>

#include "ledger/reader.h"
#include "ledger/writer.h"
#include "policy/rules.h"

namespace sallyport::gate {
namespace {

// A permit cannot be forged or copied; only Gate makes one.
static_assert(!std::is_default_constructible_v<Permit>);
static_assert(!std::is_copy_constructible_v<Permit>);
static_assert(!std::is_constructible_v<Permit, Gate&, std::shared_ptr<const op::Session>, uint64_t,
                                       std::string, op::Obligations, bool, Nanos>);
static_assert(!std::is_constructible_v<MaskedText, std::string>);

/// Stands for a store of recordings.
class Payloads final : public ledger::PayloadStore {
 public:
  Result<> Keep(op::Evidence& evidence, const op::Session& session) override {
    if (!cannot.empty()) return Fail(Errc::recording_unavailable, cannot);
    EXPECT_TRUE(session.id.starts_with("s_"));
    kept += evidence.result.has_value();
    return {};
  }
  Result<> Sync() override { return {}; }
  void Forget(const op::Session&) override { ++forgotten; }
  std::string failure() const override { return failed; }
  std::string cannot, failed;
  int kept = 0, forgotten = 0;
};

class GateTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "gate-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    ledger::Options options;
    options.data_dir = dir_;
    options.origin = "test.example/gate";
    options.signing_key = Secret(std::string(32, 'k'));
    options.payloads = &payloads_;
    auto ledger = ledger::Ledger::Open(std::move(options));
    ASSERT_TRUE(ledger) << ledger.error().detail;
    ledger_ = std::move(*ledger);
    policy::RuleSpec allow{.id = "read",
                           .effect = op::Verdict::allow,
                           .who = {"group:support"},
                           .connection = "payments"};
    allow.tools = {"get_*"};
    allow.rate = op::Rate{.rule = "read", .calls = 2, .period_seconds = 60};
    auto rules = policy::RuleSet::Compile({.rules = {allow}, .approvals = {}});
    ASSERT_TRUE(rules) << rules.error().detail;
    gate_ = std::make_unique<Gate>(*ledger_, *rules, Gate::Options{});
  }
  void TearDown() override {
    gate_.reset();
    ledger_.reset();
    std::filesystem::remove_all(dir_);
  }

  /// Runs a coroutine to its end.
  template <class F>
  void Run(F body) {
    boost::asio::io_context io(1);
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, body(), [&](std::exception_ptr e) { thrown = e; });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
  }

  std::unique_ptr<op::Session> NewSession() const {
    auto session = std::make_unique<op::Session>();
    session->who.issuer = "https://idp.example";
    session->who.subject = "u1";
    session->who.groups = {"support"};
    session->connection = "payments";
    return session;
  }
  static op::Operation Call(std::string_view tool, op::Effect effect = op::Effect::read) {
    op::Operation operation;
    operation.verb = op::Verb::tool_call;
    operation.effect = effect;
    operation.method = "tools/call";
    operation.connection = "payments";
    operation.resource = tool;
    return operation;
  }

  /// The event names in the log, in order.
  std::vector<std::string> Events() {
    EXPECT_TRUE(ledger_->Close());
    std::vector<std::string> names;
    auto reader = ledger::LogReader::Open(dir_);
    EXPECT_TRUE(reader) << reader.error().detail;
    for (uint64_t i = 0; reader && i < reader->size(); ++i) {
      const std::string text = *reader->Read(i);
      for (const op::EventType type :
           {op::EventType::auth_success, op::EventType::call_intent, op::EventType::call_denied,
            op::EventType::call_event, op::EventType::call_outcome,
            op::EventType::call_abandoned}) {
        if (text.find("\"" + std::string(op::EventName(type)) + "\"") != std::string::npos) {
          names.emplace_back(op::EventName(type));
        }
      }
    }
    return names;
  }

  std::filesystem::path dir_;
  Payloads payloads_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<Gate> gate_;
};

TEST_F(GateTest, WhatCannotBeKeptIsNotReleasedAndNothingIsBegunAfterIt) {
  Run([this]() -> boost::asio::awaitable<void> {
    auto session = co_await gate_->Open(NewSession());
    EXPECT_TRUE(session);
    {
      auto permit = co_await gate_->Admit(*session, Call("get_order"));
      EXPECT_TRUE(permit);
      payloads_.cannot = "the disk is full";
      EXPECT_EQ(gate_->Note(*permit, "notifications/progress", {}, {}).error().code,
                Errc::recording_unavailable);
      const auto settled = co_await gate_->Settle(std::move(*permit), {});
      EXPECT_EQ(settled.error().code, Errc::recording_unavailable);
    }
    payloads_.cannot.clear();
    payloads_.failed = "the store has failed";
    auto refused = co_await gate_->Admit(*session, Call("get_order"));
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().error.code, Errc::recording_unavailable);
    gate_->Close(**session);
  });
  EXPECT_EQ(payloads_.kept, 0);
  EXPECT_EQ(payloads_.forgotten, 1);
  EXPECT_EQ(Events(), (std::vector<std::string>{"auth.success", "call.intent", "call.abandoned",
                                                "call.denied"}));
}

TEST_F(GateTest, RecordsIntentBeforeAndOutcomeAfter) {
  Run([this]() -> boost::asio::awaitable<void> {
    auto session = co_await gate_->Open(NewSession());
    EXPECT_TRUE(session);
    const op::Operation call = Call("get_order", op::Effect::write);
    auto permit = co_await gate_->Admit(*session, call);
    EXPECT_TRUE(permit);
    EXPECT_TRUE(gate_->Note(*permit, "notifications/progress", {}, {}));
    EXPECT_TRUE(co_await gate_->Settle(std::move(*permit), {}));
  });
  EXPECT_EQ(Events(), (std::vector<std::string>{"auth.success", "call.intent", "call.event",
                                                "call.outcome"}));
}

TEST_F(GateTest, ADroppedPermitLeavesATrace) {
  Run([this]() -> boost::asio::awaitable<void> {
    auto session = co_await gate_->Open(NewSession());
    const op::Operation call = Call("get_order");
    {
      auto permit = co_await gate_->Admit(*session, call);
    }
  });
  EXPECT_EQ(Events(), (std::vector<std::string>{"auth.success", "call.intent", "call.abandoned"}));
}

TEST_F(GateTest, DenialsAndRatesAreRecordedAndSayWhy) {
  Run([this]() -> boost::asio::awaitable<void> {
    auto session = co_await gate_->Open(NewSession());
    const op::Operation hidden = Call("drop_all"), call = Call("get_order");
    auto refused = co_await gate_->Admit(*session, hidden);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().error.code, Errc::policy_default_deny);
    EXPECT_TRUE(refused.error().decision.hidden);
    EXPECT_TRUE(refused.error().decision_id.starts_with("d_"));
    for (int i = 0; i < 2; ++i) {
      auto permit = co_await gate_->Admit(*session, call);
      EXPECT_TRUE(permit);
      EXPECT_TRUE(co_await gate_->Settle(std::move(*permit), {}));
    }
    auto third = co_await gate_->Admit(*session, call);
    EXPECT_FALSE(third);
    EXPECT_EQ(third.error().error.code, Errc::rate_limited);
    EXPECT_GT(third.error().retry_after_seconds, 0u);
  });
  EXPECT_EQ(Events(),
            (std::vector<std::string>{"auth.success", "call.denied", "call.intent", "call.outcome",
                                      "call.intent", "call.outcome", "call.denied"}));
}

TEST_F(GateTest, NoEvidenceNoAccess) {
  Run([this]() -> boost::asio::awaitable<void> {
    auto session = co_await gate_->Open(NewSession());
    const op::Operation call = Call("get_order");
    auto open = co_await gate_->Admit(*session, call);
    EXPECT_TRUE(open);
    EXPECT_TRUE(ledger_->Close());
    auto refused = co_await gate_->Admit(*session, call);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().error.code, Errc::ledger_unavailable);
    EXPECT_FALSE(gate_->Note(*open, "notifications/progress", {}, {}));
    EXPECT_FALSE(co_await gate_->Settle(std::move(*open), {}));  // the result stays inside
  });
}

}  // namespace
}  // namespace sallyport::gate
