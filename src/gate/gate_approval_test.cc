#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

#include "approval/desk.h"
#include "base/bytes.h"
#include "gate/gate.h"
#include "ledger/reader.h"
#include "ledger/writer.h"
#include "policy/rules.h"
#include "policy/unmask.h"

namespace sallyport::gate {
namespace {

using approval::State;

/// A gate with rules, a log and a desk, all real.
class GateApprovalTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "gate-desk-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    ledger::Options options;
    options.data_dir = dir_;
    options.origin = "test.example/gate";
    options.signing_key = Secret(std::string(32, 'k'));
    auto ledger = ledger::Ledger::Open(std::move(options));
    ASSERT_TRUE(ledger) << ledger.error().detail;
    ledger_ = std::move(*ledger);
    auto db = state::Database::Open(dir_ / "state" / "state.db");
    ASSERT_TRUE(db && approval::Desk::Migrate(**db));
    state_ = std::make_unique<state::Writer>(std::move(db));
    const Secret key(Base64UrlEncode(std::vector<uint8_t>(32, 1)));
    approval::Desk::Options desk{.flows = {{.name = "leads", .approvers = {"group:leads"}},
                                           {.name = "others", .approvers = {"group:leads"}}},
                                 .persons = {},
                                 .public_url = "https://gate.example",
                                 .mask = [](std::string_view, bool) { return op::Payload{}; }};
    desk_ = std::make_unique<approval::Desk>(*state_, *state::Sealer::Make(key),
                                             approval::RecordTo(*ledger_, SystemClock()), desk);
    gate_ = std::make_unique<Gate>(*ledger_, Rules("first"), Gate::Options{.desk = desk_.get()});
  }
  void TearDown() override {
    gate_.reset();
    desk_.reset();
    state_.reset();
    ledger_.reset();
    std::filesystem::remove_all(dir_);
  }

  /// A rule that asks for approval, at most twice a minute; `message` makes another version of it.
  static std::shared_ptr<const policy::RuleSet> Rules(const std::string& message) {
    policy::RuleSpec refund{.id = "refund-large",
                            .effect = op::Verdict::approve,
                            .approval = "leads",
                            .who = {"any"},
                            .connection = "payments"};
    refund.tools = {"refund"};
    refund.rate = op::Rate{.rule = "refund-large", .calls = 2, .period_seconds = 60};
    refund.message = message;
    policy::RuleSpec look{
        .id = "look", .effect = op::Verdict::allow, .who = {"any"}, .connection = "payments"};
    look.tools = {"look"};
    auto rules = policy::RuleSet::Compile({.rules = {refund, look}, .approvals = {"leads"}});
    EXPECT_TRUE(rules) << rules.error().detail;
    return *rules;
  }

  template <class F>
  void Run(F body) {
    boost::asio::io_context io(1);
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, body(), [&](std::exception_ptr e) { thrown = e; });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
  }

  Task<std::shared_ptr<const op::Session>> Open(std::string subject = "u1") {
    auto session = std::make_unique<op::Session>();
    session->who.issuer = "https://idp.example";
    session->who.subject = std::move(subject);
    session->who.name = session->who.subject;
    session->connection = "payments";
    return gate_->Open(std::move(session));
  }
  op::Operation Refund(std::string_view arguments) {
    auto document = json::Document::Parse(arguments);
    EXPECT_TRUE(document);
    documents_.push_back(std::make_unique<json::Document>(std::move(*document)));
    op::Operation operation;
    operation.verb = op::Verb::tool_call;
    operation.effect = op::Effect::write;
    operation.method = "tools/call";
    operation.connection = "payments";
    operation.resource = "refund";
    operation.arguments = documents_.back()->root();
    return operation;
  }
  Task<approval::Request> Vote(const std::string& id, bool approve = true) {
    op::Principal lead;
    lead.issuer = "https://idp.example", lead.subject = "lead", lead.groups = {"leads"};
    return desk_->Decide(id, {lead, approve, "because", desk_->Find(id)->digest, ""});
  }
  /// Entries of the log, as they stand there.
  std::vector<std::string> Entries() {
    EXPECT_TRUE(ledger_->Close());
    std::vector<std::string> all;
    auto reader = ledger::LogReader::Open(dir_);
    EXPECT_TRUE(reader) << reader.error().detail;
    for (uint64_t i = 0; reader && i < reader->size(); ++i) all.push_back(*reader->Read(i));
    return all;
  }

  std::filesystem::path dir_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<state::Writer> state_;
  std::unique_ptr<approval::Desk> desk_;
  std::unique_ptr<Gate> gate_;
  std::vector<std::unique_ptr<json::Document>> documents_;
};

TEST_F(GateApprovalTest, TheSameCallRunsOnceAfterTheApproval) {
  std::string id;
  Run([&]() -> boost::asio::awaitable<void> {
    auto session = co_await Open();
    const op::Operation call = Refund(R"({"amount":900,"currency":"EUR"})");
    auto refused = co_await gate_->Admit(*session, call);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().error.code, Errc::approval_required);
    id = refused.error().approval_id;
    EXPECT_EQ(refused.error().approval_url, "https://gate.example/approvals/" + id);
    EXPECT_GT(refused.error().approval_expires, 0);
    auto again = co_await gate_->Admit(*session, call);
    EXPECT_EQ(again.error().approval_id, id);
    EXPECT_TRUE(co_await Vote(id));
    const op::Operation other = Refund(R"({"amount":901,"currency":"EUR"})");
    auto changed = co_await gate_->Admit(*session, other);
    EXPECT_EQ(changed.error().error.code, Errc::approval_required);
    EXPECT_NE(changed.error().approval_id, id);
    const op::Operation same = Refund(R"({ "currency": "EUR", "amount": 900 })");
    auto permit = co_await gate_->Admit(*session, same);
    EXPECT_TRUE(permit) << permit.error().error.detail;
    EXPECT_TRUE(co_await gate_->Settle(std::move(*permit), {}));
    auto third = co_await gate_->Admit(*session, same);
    EXPECT_EQ(third.error().error.code, Errc::approval_required);
    EXPECT_NE(third.error().approval_id, id);
  });
  EXPECT_EQ(desk_->Find(id)->state, State::redeemed);
  std::vector<std::string> about;
  for (const std::string& entry : Entries()) {
    if (entry.find("\"a\":\"" + id + "\"") == std::string::npos) continue;
    const size_t at = entry.find("\"e\":\"") + 5;
    about.push_back(entry.substr(at, entry.find('"', at) - at));
  }
  EXPECT_EQ(about,
            (std::vector<std::string>{"approval.requested", "call.denied", "call.denied",
                                      "approval.decided", "approval.redeemed", "call.intent"}));
}

TEST_F(GateApprovalTest, WaitingIsWaitAndASecondAdmit) {
  Run([&]() -> boost::asio::awaitable<void> {
    auto session = co_await Open();
    const op::Operation call = Refund(R"({"amount":900})");
    auto refused = co_await gate_->Admit(*session, call);
    const std::string id = refused.error().approval_id;
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::co_spawn(
        executor, [this, id]() -> boost::asio::awaitable<void> { EXPECT_TRUE(co_await Vote(id)); },
        [](std::exception_ptr) {});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    const auto state = co_await gate_->desk()->Wait(id, deadline);
    EXPECT_TRUE(state && *state == State::approved);
    auto permit = co_await gate_->Admit(*session, call);
    EXPECT_TRUE(permit);
  });
}

TEST_F(GateApprovalTest, ADenialIsTheAnswerToTheSameCall) {
  Run([&]() -> boost::asio::awaitable<void> {
    auto session = co_await Open();
    const op::Operation call = Refund(R"({"amount":900})");
    auto refused = co_await gate_->Admit(*session, call);
    EXPECT_TRUE(co_await Vote(refused.error().approval_id, false));
    auto denied = co_await gate_->Admit(*session, call);
    EXPECT_EQ(denied.error().error.code, Errc::approval_denied);
    EXPECT_NE(denied.error().decision_id, "");
  });
}

TEST_F(GateApprovalTest, AnotherCallerCannotUseIt) {
  Run([&]() -> boost::asio::awaitable<void> {
    auto one = co_await Open("u1"), two = co_await Open("u2");
    const op::Operation call = Refund(R"({"amount":900})");
    auto refused = co_await gate_->Admit(*one, call);
    EXPECT_TRUE(co_await Vote(refused.error().approval_id));
    auto other = co_await gate_->Admit(*two, call);
    EXPECT_EQ(other.error().error.code, Errc::approval_required);
    auto again = co_await Open("u1");  // another session of the same caller can
    auto permit = co_await gate_->Admit(*again, call);
    EXPECT_TRUE(permit);
  });
}

TEST_F(GateApprovalTest, OtherRulesAskAgain) {
  Run([&]() -> boost::asio::awaitable<void> {
    auto session = co_await Open();
    const op::Operation call = Refund(R"({"amount":900})");
    auto refused = co_await gate_->Admit(*session, call);
    const std::string id = refused.error().approval_id;
    EXPECT_TRUE(co_await Vote(id));
    EXPECT_TRUE(gate_->Replace(Rules("second")));
    EXPECT_EQ(desk_->Find(id)->state, State::withdrawn);
    auto again = co_await gate_->Admit(*session, call);
    EXPECT_EQ(again.error().error.code, Errc::approval_required);
    EXPECT_NE(again.error().approval_id, id);
  });
}

TEST_F(GateApprovalTest, ARateDoesNotUseAnApprovalUp) {
  Run([&]() -> boost::asio::awaitable<void> {
    auto session = co_await Open();
    for (int i = 0; i < 3; ++i) {
      const std::string arguments = "{\"amount\":" + std::to_string(900 + i) + "}";
      const op::Operation call = Refund(arguments);  // which views them
      auto refused = co_await gate_->Admit(*session, call);
      const std::string id = refused.error().approval_id;
      EXPECT_TRUE(co_await Vote(id));
      auto permit = co_await gate_->Admit(*session, call);
      if (i < 2) {
        EXPECT_TRUE(permit);
        continue;
      }
      EXPECT_EQ(permit.error().error.code, Errc::rate_limited);
      EXPECT_GT(permit.error().retry_after_seconds, 0u);
      EXPECT_EQ(desk_->Find(id)->state, State::approved);
    }
  });
}

/// Fraud analysts may see two numbers, if `flow` approves.
policy::UnmaskGrant Grant(std::string flow = "leads") {
  return {.who = {"user:u1", "agent:bot"},
          .detectors = {"iban", "pan"},
          .approval = std::move(flow),
          .max_values = 2,
          .ttl = std::chrono::minutes(5)};
}

TEST_F(GateApprovalTest, ValuesInClearNeedAnApprovalOfTheirOwn) {
  std::string id;
  Run([&]() -> boost::asio::awaitable<void> {
    gate_->SetUnmask({Grant()});
    auto session = co_await Open();
    const op::UnmaskAsk ask{{"pan"}, {}}, both{{"iban", "pan"}, {}};
    op::Operation call = Refund(R"({"id":1})");
    call.effect = op::Effect::read;
    call.resource = "look";  // which a rule allows
    call.unmask = &ask;
    auto refused = co_await gate_->Admit(*session, call);
    EXPECT_EQ(refused.error().error.code, Errc::approval_required);
    id = refused.error().approval_id;
    EXPECT_EQ(desk_->Find(id)->unmask->max_values, 2u);
    EXPECT_TRUE(co_await Vote(id));
    // Without the wish it is another operation; with another wish too; of another caller anyway.
    op::Operation plain = call;
    plain.unmask = nullptr;
    auto masked = co_await gate_->Admit(*session, plain);
    EXPECT_TRUE(masked && masked->licence() == nullptr);
    op::Operation more = call;
    more.unmask = &both;
    auto other = co_await gate_->Admit(*session, more);
    EXPECT_NE(other.error().approval_id, id);
    auto permit = co_await gate_->Admit(*session, call);
    EXPECT_TRUE(permit) << permit.error().error.detail;
    EXPECT_TRUE(permit->licence() != nullptr);
    EXPECT_EQ(permit->licence()->detectors, ask.detectors);
    EXPECT_EQ(permit->licence()->max_values, 2u);
    const auto left = permit->licence()->closes - std::chrono::steady_clock::now();
    EXPECT_GT(left, std::chrono::minutes(4));
    EXPECT_LE(left, std::chrono::minutes(5));
    EXPECT_TRUE(co_await gate_->Settle(std::move(*permit),
                                       {.unmasked = op::Unmasked{.values = 2, .places = 3}}));
    auto again = co_await gate_->Admit(*session, call);
    EXPECT_EQ(again.error().error.code, Errc::approval_required);
    EXPECT_NE(again.error().approval_id, id);
  });
  std::string all;
  for (const std::string& entry : Entries()) all += entry + '\n';
  EXPECT_NE(all.find(R"("um":{"det":["pan"],"max":2,"until":)"), std::string::npos) << all;
  EXPECT_NE(all.find(R"("um":{"n":2,"at":3})"), std::string::npos) << all;
  EXPECT_NE(all.find(R"("unmask":["pan"],"max_values":2,"unmask_ttl":300000000000})"),
            std::string::npos)
      << all;
}

TEST_F(GateApprovalTest, ValuesInClearAreNotForEverybody) {
  Run([&]() -> boost::asio::awaitable<void> {
    auto one = co_await Open("u1"), two = co_await Open("u2");
    const op::UnmaskAsk ask{{"pan"}, {}}, sad{{"pan", "sad"}, {}};
    op::Operation call = Refund(R"({"id":1})");
    call.resource = "look";
    call.unmask = &ask;
    auto none = co_await gate_->Admit(*one, call);
    EXPECT_EQ(none.error().error.code, Errc::unmask_denied);
    gate_->SetUnmask({Grant()});
    auto other = co_await gate_->Admit(*two, call);
    EXPECT_EQ(other.error().error.code, Errc::unmask_denied);
    EXPECT_EQ(other.error().approval_id, "");
    call.unmask = &sad;
    auto never = co_await gate_->Admit(*one, call);
    EXPECT_EQ(never.error().error.code, Errc::unmask_denied);
    call.unmask = &ask;
    call.resource = "nothing";  // which no rule allows
    auto denied = co_await gate_->Admit(*one, call);
    EXPECT_EQ(denied.error().error.code, Errc::policy_default_deny);
    call.resource = "look";
    for (const char* owner : {"group:payments", "user:bob"}) {
      auto session = std::make_unique<op::Session>();
      session->who.issuer = "https://idp.example", session->who.subject = "bot";
      session->who.agent = "bot", session->who.owner = owner;
      auto agent = co_await gate_->Open(std::move(session));
      auto refused = co_await gate_->Admit(*agent, call);
      EXPECT_EQ(refused.error().error.code,
                *owner == 'g' ? Errc::unmask_denied : Errc::approval_required);
    }
  });
}

TEST_F(GateApprovalTest, ARuleAndAGrantOfTwoFlowsNeedBoth) {
  Run([&]() -> boost::asio::awaitable<void> {
    gate_->SetUnmask({Grant("others")});
    auto session = co_await Open();
    const op::UnmaskAsk ask{{"pan"}, {}};
    op::Operation call = Refund(R"({"amount":900})");
    call.unmask = &ask;
    auto first = co_await gate_->Admit(*session, call);
    const std::string rule = first.error().approval_id;
    EXPECT_EQ(desk_->Find(rule)->flow, "leads");
    EXPECT_TRUE(co_await Vote(rule));
    auto second = co_await gate_->Admit(*session, call);
    EXPECT_EQ(second.error().error.code, Errc::approval_required);
    const std::string grant = second.error().approval_id;
    EXPECT_EQ(desk_->Find(grant)->flow, "others");
    EXPECT_EQ(desk_->Find(rule)->state, State::approved);  // not used up meanwhile
    EXPECT_TRUE(co_await Vote(grant));
    auto permit = co_await gate_->Admit(*session, call);
    EXPECT_TRUE(permit && permit->licence() != nullptr);
    EXPECT_EQ(desk_->Find(rule)->state, State::redeemed);
    EXPECT_EQ(desk_->Find(grant)->state, State::redeemed);
  });
}

TEST_F(GateApprovalTest, ATimeThatIsOverAsksAgain) {
  Run([&]() -> boost::asio::awaitable<void> {
    policy::UnmaskGrant grant = Grant();
    grant.ttl = std::chrono::milliseconds(1);
    gate_->SetUnmask({grant});
    auto session = co_await Open();
    const op::UnmaskAsk ask{{"pan"}, {}};
    op::Operation call = Refund(R"({"id":1})");
    call.resource = "look";
    call.unmask = &ask;
    auto refused = co_await gate_->Admit(*session, call);
    const std::string id = refused.error().approval_id;
    EXPECT_TRUE(co_await Vote(id));
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    auto late = co_await gate_->Admit(*session, call);
    EXPECT_EQ(late.error().error.code, Errc::approval_required);
    EXPECT_NE(late.error().approval_id, id);
    EXPECT_EQ(desk_->Find(id)->state, State::withdrawn);
  });
}

TEST_F(GateApprovalTest, WithoutTheStateOnlyWhatNeedsItIsRefused) {
  state_->Close();
  Run([&]() -> boost::asio::awaitable<void> {
    auto session = co_await Open();
    const op::Operation call = Refund(R"({"amount":900})");
    auto refused = co_await gate_->Admit(*session, call);
    EXPECT_EQ(refused.error().error.code, Errc::state_unavailable);
    EXPECT_EQ(refused.error().approval_id, "");
    op::Operation list;
    list.verb = op::Verb::list;
    list.connection = "payments";
    EXPECT_TRUE(co_await gate_->Admit(*session, list));
  });
}

}  // namespace
}  // namespace sallyport::gate
