#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <gtest/gtest.h>

#include "access/store_sqlite.h"
#include "access/uses.h"
#include "approval/desk.h"
#include "base/bytes.h"
#include "gate/gate.h"
#include "ledger/reader.h"
#include "ledger/writer.h"
#include "policy/grant.h"
#include "policy/rules.h"

namespace sallyport::gate {
namespace {

/// A gate whose callers have sessions with limits.
class GateGrantTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "gate-grant-XXXXXX").string();
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
    ASSERT_TRUE(db && access::PrepareState(**db) && approval::Desk::Migrate(**db));
    state_ = std::make_unique<state::Writer>(std::move(db));
    uses_ = std::make_unique<access::Uses>(*state_);
    const Secret key(Base64UrlEncode(std::vector<uint8_t>(32, 1)));
    approval::Desk::Options desk{.flows = {{.name = "leads", .approvers = {"group:leads"}}},
                                 .persons = {},
                                 .public_url = "https://gate.example",
                                 .mask = [](std::string_view, bool) { return op::Payload{}; }};
    desk_ = std::make_unique<approval::Desk>(*state_, *state::Sealer::Make(key),
                                             approval::RecordTo(*ledger_, SystemClock()), desk);
    policy::RuleSpec tools{
        .id = "tools", .effect = op::Verdict::allow, .who = {"any"}, .connection = "lab"};
    policy::RuleSpec sql{
        .id = "sql", .effect = op::Verdict::allow, .who = {"any"}, .connection = "lab"};
    sql.sql = policy::SqlScope{.relations = {"public.*"}, .max_rows = 50};
    policy::RuleSpec held{.id = "held",
                          .effect = op::Verdict::approve,
                          .approval = "leads",
                          .who = {"any"},
                          .connection = "lab"};
    held.tools = {"refund"};
    policy::RuleSpec denied{.id = "denied", .who = {"any"}, .connection = "lab"};
    denied.tools = {"drop"};
    auto rules =
        policy::RuleSet::Compile({.rules = {tools, sql, held, denied}, .approvals = {"leads"}});
    ASSERT_TRUE(rules) << rules.error().detail;
    gate_ = std::make_unique<Gate>(*ledger_, *rules,
                                   Gate::Options{.desk = desk_.get(), .uses = uses_.get()});
  }
  void TearDown() override {
    gate_.reset();
    desk_.reset();
    uses_.reset();
    state_.reset();
    ledger_.reset();
    std::filesystem::remove_all(dir_);
  }
  template <class F>
  void Run(F body) {
    boost::asio::io_context io(1);
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, body(), [&](std::exception_ptr e) { thrown = e; });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
  }
  std::shared_ptr<const op::Session> Open(std::string_view limits) {
    std::shared_ptr<const op::Session> opened;
    Run([&]() -> boost::asio::awaitable<void> {
      auto session = std::make_unique<op::Session>();
      session->who.issuer = "https://idp.example";
      session->who.subject = "u1";
      session->who.session = "u_1";
      session->who.grant = *policy::Grant::Parse(limits);
      session->connection = "lab";
      opened = *co_await gate_->Open(std::move(session));
    });
    return opened;
  }
  struct Said {
    std::optional<Errc> refused;
    uint64_t rows = 0;
  };
  Said Ask(const std::shared_ptr<const op::Session>& session, const op::Operation& operation,
           Memo* memo = nullptr) {
    Said said;
    Run([&]() -> boost::asio::awaitable<void> {
      auto permit = co_await gate_->Admit(session, operation, memo);
      if (!permit) said.refused = permit.error().error.code;
      if (permit) said.rows = permit->obligations().max_rows;
      if (permit) EXPECT_TRUE(co_await gate_->Settle(std::move(*permit), {}));
    });
    return said;
  }
  static op::Operation Tool(std::string_view tool) {
    op::Operation operation{.verb = op::Verb::tool_call, .effect = op::Effect::call};
    operation.method = "tools/call";
    operation.connection = "lab";
    operation.resource = tool;
    return operation;
  }
  static op::Operation Select(std::string_view method, std::string table = "t") {
    op::Operation operation{.verb = op::Verb::sql, .effect = op::Effect::read};
    operation.method = method;
    operation.connection = "lab";
    operation.resource = "lab";
    op::SqlStatement statement{.kind = "SELECT", .effect = op::Effect::read};
    statement.relations = {{std::move(table)}};
    operation.statement = std::make_shared<op::SqlText>(
        op::SqlText{.statements = {statement}, .worst = op::Effect::read});
    return operation;
  }

  std::filesystem::path dir_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<state::Writer> state_;
  std::unique_ptr<access::Uses> uses_;
  std::unique_ptr<approval::Desk> desk_;
  std::unique_ptr<Gate> gate_;
};

TEST_F(GateGrantTest, UsesRunOutAndRefusedOperationsUseNothing) {
  const auto session = Open("tool=get uses=2\ntool=drop uses=1\ntool=put");
  EXPECT_EQ(Ask(session, Tool("drop")).refused, Errc::rule_deny);
  EXPECT_EQ(uses_->Used("u_1", 1), 0u);
  EXPECT_FALSE(Ask(session, Tool("get")).refused);
  EXPECT_EQ(uses_->Used("u_1", 0), 1u);
  EXPECT_FALSE(Ask(session, Tool("get")).refused);
  EXPECT_EQ(Ask(session, Tool("get")).refused, Errc::grant_exceeded);
  EXPECT_FALSE(Ask(session, Tool("put")).refused);
  EXPECT_TRUE(ledger_->Close());
  auto reader = ledger::LogReader::Open(dir_);
  ASSERT_TRUE(reader);
  size_t named = 0;
  for (uint64_t i = 0; i < reader->size(); ++i)
    named += reader->Read(i)->find("\"grant:u_1\"") != std::string::npos ? 1 : 0;
  EXPECT_EQ(named, 1u) << "the denial names the grant";
}

TEST_F(GateGrantTest, TheFirstLimitWithUsesLeftSaysHowManyRows) {
  const auto session = Open("rows=10 uses=1\nrows=100 uses=1");
  Memo memo;
  EXPECT_EQ(Ask(session, Select("parse"), &memo).rows, 10u) << "the tightest";
  EXPECT_EQ(Ask(session, Select("bind"), &memo).rows, 10u);
  EXPECT_EQ(Ask(session, Select("execute"), &memo).rows, 50u) << "the rule's are fewer";
  EXPECT_EQ(Ask(session, Select("bind"), &memo).refused, Errc::grant_exceeded) << "a memo, too";
  EXPECT_FALSE(Ask(session, Select("parse"), &memo).refused);
}

TEST_F(GateGrantTest, NobodyIsAskedForWhatCouldNotRun) {
  const auto session = Open("tool=refund uses=1");
  ASSERT_EQ(Ask(session, Tool("refund")).refused, Errc::approval_required);
  EXPECT_EQ(uses_->Used("u_1", 0), 0u) << "it has not run";
  const auto asked = desk_->List({});
  ASSERT_EQ(asked.size(), 1u);
  op::Principal lead;
  lead.issuer = "https://idp.example", lead.subject = "lead", lead.groups = {"leads"};
  Run([&]() -> boost::asio::awaitable<void> {
    EXPECT_TRUE(co_await desk_->Decide(asked[0].id, {lead, true, "yes", asked[0].digest, ""}));
  });
  EXPECT_FALSE(Ask(session, Tool("refund")).refused);
  EXPECT_EQ(uses_->Used("u_1", 0), 1u);
  EXPECT_EQ(Ask(session, Tool("refund")).refused, Errc::grant_exceeded);
  EXPECT_EQ(desk_->List({}).size(), 1u) << "no second request";
}

TEST_F(GateGrantTest, WithoutTheStateNothingCountedRuns) {
  const auto session = Open("tool=get uses=2\ntool=put");
  state_->Close();
  EXPECT_EQ(Ask(session, Tool("get")).refused, Errc::state_unavailable);
  EXPECT_FALSE(Ask(session, Tool("put")).refused);
}

}  // namespace
}  // namespace sallyport::gate
