#include "pg/credentials.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "net/event.h"
#include "net/shards.h"
#include "pg/postgres_for_test.h"

namespace sallyport::pg {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr Nanos kHour = Nanos(3'600) * 1'000'000'000;
Nanos Later(Nanos by = kHour) { return SystemClock().WallNow() + by; }

std::string Said(const auto& result) {
  return result ? "ok"
                : std::string(ReasonCode(result.error().code)) + ": " + result.error().detail;
}

class CredentialsTest : public testing::Test {
 public:
  CredentialsTest() : shards_(2) { shards_.Start(); }

  void SetUp() override {
    if (PostgresForTest::Get() == nullptr) GTEST_SKIP() << PostgresForTest::WhyNot();
    pg_ = PostgresForTest::Get();
    pg_->Sql(
        "DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;\n"
        "CREATE TABLE shop.payments(id serial PRIMARY KEY, card text, cvv text, note text);\n"
        "CREATE TABLE shop.orders(id int); CREATE TABLE shop.\"odd \"\"name\"(id int);\n"
        "INSERT INTO shop.payments(card, cvv) VALUES ('4539577986432614', '111');\n"
        "CREATE VIEW shop.cards AS SELECT card FROM shop.payments;\n");
    session_.id = "s_test", session_.who.name = "Ann's \\ \"name\"; --";
    session_.who.issuer = "https://idp", session_.who.subject = "ann";
  }
  void TearDown() override {
    if (pg_ == nullptr) return;
    for (const auto& credentials : made_) {
      for (int i = 0; i < 500 && credentials->leases() > 0; ++i) std::this_thread::sleep_for(10ms);
      EXPECT_EQ(credentials->leases(), 0u);
    }
    EXPECT_EQ(Roles(), "");
  }
  std::shared_ptr<Credentials> Jit(std::string gateway = "test", std::string admin = "postgres",
                                   std::shared_ptr<ServerAddress> address = nullptr,
                                   std::string password = {}) {
    JitRoleOptions options;
    options.gateway = std::move(gateway);
    options.admin = FixedLogin(std::move(admin), Secret(std::move(password)));
    made_.push_back(MakeJitRoleCredentials(address ? address : pg_->Plain(), std::move(options)));
    return made_.back();
  }
  Result<std::unique_ptr<Lease>> Borrow(Credentials& credentials, std::vector<Grant> grants,
                                        size_t shard = 0) {
    return RunOn(shards_, credentials.Borrow(session_, std::move(grants), Later()), shard);
  }
  Result<Server> Login(const Lease& lease) {
    return RunOn(shards_, LogIn(*pg_->Plain(), lease.login()));
  }
  std::string Ask(Server& server, std::string sql) {
    const auto rows = RunOn(shards_, Query(server, std::move(sql), 5s));
    if (!rows) return rows.error().detail;
    return rows->empty() ? "" : rows->back().back().value_or("NULL");
  }
  std::string Roles() {
    return pg_->Sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'sallyport%' ORDER BY 1");
  }
  void WaitForNoRoles() {
    for (int i = 0; i < 800 && !Roles().empty(); ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(Roles(), "");
  }

 protected:
  net::Shards shards_;
  const PostgresForTest* pg_ = nullptr;
  op::Session session_;
  std::vector<std::shared_ptr<Credentials>> made_;
};

TEST_F(CredentialsTest, StaticIsTheSameForAll) {
  const auto credentials = MakeSharedCredentials(FixedLogin("scram_ann", Secret("wrong horse")));
  auto lease = Borrow(*credentials, {});
  ASSERT_TRUE(lease);
  EXPECT_EQ(Said(Login(**lease)), "ok");
  (*lease)->Release();
  EXPECT_EQ(credentials->leases(), 0u);
}

TEST_F(CredentialsTest, ARoleHasTheGrantsAndNothingMore) {
  const auto credentials = Jit();
  auto lease = Borrow(*credentials, {{"shop.payments", {"SELECT"}, {"id", "card"}},
                                     {"shop.payments", {"INSERT"}, {}},
                                     {"shop.odd \"name", {"SELECT"}, {}},
                                     {"shop.gone", {"SELECT"}, {}},
                                     {"pg_catalog.pg_authid", {"SELECT"}, {}}});
  ASSERT_TRUE(lease) << Said(lease);
  auto server = Login(**lease);
  ASSERT_TRUE(server) << Said(server);
  EXPECT_THAT(Ask(*server, "SELECT current_user"), StartsWith("sallyport_test_"));
  EXPECT_EQ(Ask(*server, "SELECT card FROM shop.payments"), "4539577986432614");
  EXPECT_THAT(Ask(*server, "SELECT cvv FROM shop.payments"), StartsWith("42501"));
  EXPECT_THAT(Ask(*server, "SELECT * FROM shop.payments"), StartsWith("42501"));
  EXPECT_THAT(Ask(*server, "SELECT id FROM shop.orders"), StartsWith("42501"));
  EXPECT_THAT(Ask(*server, "SELECT rolpassword FROM pg_authid"), StartsWith("42501"));
  EXPECT_EQ(Ask(*server, "SELECT id FROM shop.\"odd \"\"name\""), "");
  EXPECT_EQ(Ask(*server, "INSERT INTO shop.payments(note) VALUES ('x') RETURNING id"), "2");
  EXPECT_THAT(Ask(*server, "DELETE FROM shop.payments"), StartsWith("42501"));
  EXPECT_THAT(Ask(*server, "CREATE TABLE shop.mine()"), StartsWith("42501"));
  EXPECT_THAT(Ask(*server, "CREATE ROLE x"), StartsWith("42501"));
  EXPECT_EQ(Ask(*server, "SHOW client_connection_check_interval"), "10s");
  EXPECT_EQ(pg_->Sql("SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
                     " rolconnlimit, rolvaliduntil > now() + interval '14 min'"
                     " AND rolvaliduntil < now() + interval '16 min' FROM pg_roles"
                     " WHERE rolname LIKE 'sallyport_test%' AND rolcanlogin"),
            "f|f|f|f|f|2|t");
  EXPECT_THAT(pg_->Sql("SELECT rolpassword FROM pg_authid WHERE rolcanlogin"
                       " AND rolname LIKE 'sallyport_test%'"),
              StartsWith("SCRAM-SHA-256$1:"));
  EXPECT_EQ(pg_->Sql("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles"
                     " WHERE rolname LIKE 'sallyport_test%' AND rolcanlogin"),
            "sallyport session s_test of Ann's \\ \"name\"; -- (https://idp ann)");
  // Another password does not get in.
  ServerLogin wrong = (*lease)->login();
  wrong.password = Secret("guess");
  EXPECT_THAT(Said(RunOn(shards_, LogIn(*pg_->Plain(), wrong))), HasSubstr("28P01"));
  // The lease ends: so does what still runs under it.
  (*lease)->Release();
  WaitForNoRoles();
  EXPECT_NE(Ask(*server, "SELECT 1"), "1");
}

TEST_F(CredentialsTest, GlobsMeanTablesAndViewsOfUsersOnly) {
  const auto credentials = Jit();
  auto lease = Borrow(*credentials, {{"*.*", {"SELECT"}, {}}});
  ASSERT_TRUE(lease) << Said(lease);
  auto server = Login(**lease).value();
  EXPECT_EQ(Ask(server, "SELECT cvv FROM shop.payments"), "111");
  EXPECT_EQ(Ask(server, "SELECT card FROM shop.cards"), "4539577986432614");
  EXPECT_THAT(Ask(server, "SELECT rolpassword FROM pg_authid"), StartsWith("42501"));
}

TEST_F(CredentialsTest, SessionsShareAGroupPerGrants) {
  const auto credentials = Jit();
  const std::vector<Grant> one{{"shop.orders", {"SELECT"}, {}}};
  auto a = Borrow(*credentials, one).value();
  auto b = Borrow(*credentials, one, 1).value();
  auto c = Borrow(*credentials, {{"shop.orders", {"SELECT", "INSERT"}, {}}}).value();
  auto d = Borrow(*credentials, {}).value();
  const char* const groups =
      "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sallyport%' AND NOT rolcanlogin";
  EXPECT_EQ(pg_->Sql(groups), "2");
  EXPECT_EQ(credentials->leases(), 6u);
  auto server = Login(*b).value();
  a->Release();
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(pg_->Sql(groups), "2");
  EXPECT_EQ(Ask(server, "SELECT count(*) FROM shop.orders"), "0");
  EXPECT_THAT(Ask(server, "INSERT INTO shop.orders VALUES (1)"), StartsWith("42501"));
  auto nothing = Login(*d).value();
  EXPECT_THAT(Ask(nothing, "SELECT count(*) FROM shop.orders"), StartsWith("42501"));
  b->Release(), b->Release();
  c.reset();
}

TEST_F(CredentialsTest, AGroupThatSomebodyDroppedIsMadeAgain) {
  const auto credentials = Jit();
  const std::vector<Grant> grants{{"shop.orders", {"SELECT"}, {}}};
  auto a = Borrow(*credentials, grants).value();
  const std::string group =
      pg_->Sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'sallyport%' AND NOT rolcanlogin");
  pg_->Sql("DROP OWNED BY \"" + group + "\"; DROP ROLE \"" + group + "\"");
  auto b = Borrow(*credentials, grants);
  ASSERT_TRUE(b) << Said(b);
  auto server = Login(**b).value();
  EXPECT_EQ(Ask(server, "SELECT count(*) FROM shop.orders"), "0");
}

TEST_F(CredentialsTest, WhatASessionCreatedIsKept) {
  pg_->Sql("GRANT CREATE ON SCHEMA shop TO PUBLIC");
  const auto credentials = Jit();
  auto lease = Borrow(*credentials, {{"shop.orders", {"SELECT"}, {}}}).value();
  auto server = Login(*lease).value();
  EXPECT_EQ(Ask(server,
                "GRANT USAGE ON SCHEMA shop TO PUBLIC; CREATE TABLE shop.left_behind(id int);"
                "CREATE TEMP TABLE t(id int); INSERT INTO shop.left_behind VALUES (7)"),
            "");
  lease->Release();
  WaitForNoRoles();
  EXPECT_EQ(pg_->Sql("SELECT tableowner FROM pg_tables WHERE tablename = 'left_behind'"),
            "postgres");
  EXPECT_EQ(pg_->Sql("SELECT id FROM shop.left_behind"), "7");
}

TEST_F(CredentialsTest, AnAdministratorWhoIsNoSuperuser) {
  pg_->Sql(
      "CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'k'; ALTER SCHEMA shop OWNER TO keeper;"
      "ALTER TABLE shop.orders OWNER TO keeper; GRANT CREATE ON SCHEMA shop TO PUBLIC");
  const auto credentials = Jit("test", "keeper", nullptr, "k");
  {
    auto lease = Borrow(*credentials, {{"shop.orders", {"SELECT"}, {}}});
    ASSERT_TRUE(lease) << Said(lease);
    auto server = Login(**lease).value();
    EXPECT_EQ(Ask(server, "SELECT count(*) FROM shop.orders"), "0");
    EXPECT_EQ(Ask(server, "CREATE TABLE shop.mine(id int)"), "");
    lease->reset();
    WaitForNoRoles();
    EXPECT_NE(Ask(server, "SELECT 1"), "1");
  }
  EXPECT_EQ(pg_->Sql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'"), "keeper");
  std::this_thread::sleep_for(100ms);
  pg_->Sql("DROP OWNED BY keeper CASCADE; DROP ROLE keeper");
}

TEST_F(CredentialsTest, FailuresSayWhy) {
  auto stranger = Jit("test", "scram_ann", nullptr, "wrong horse");
  EXPECT_THAT(
      Said(Borrow(*stranger, {})),
      StartsWith("upstream-login-failed: a role for the session: 42501: permission denied"));
  auto wrong = Jit("test", "scram_ann", nullptr, "guess");
  EXPECT_THAT(Said(Borrow(*wrong, {})), StartsWith("upstream-login-failed: 28P01"));
  auto nowhere = pg_->Plain();
  nowhere->port = 1;
  EXPECT_THAT(Said(Borrow(*Jit("test", "postgres", nowhere), {})),
              StartsWith("upstream-unreachable"));
  EXPECT_THAT(Said(RunOn(shards_, Jit()->Borrow(session_, {}, Later(-1)))),
              StartsWith("session-ended"));
}

TEST_F(CredentialsTest, OrphansAreSwept) {
  const std::string ours = "sallyport_test_";
  auto live = Jit();
  auto lease = Borrow(*live, {{"shop.orders", {"SELECT"}, {}}}).value();
  auto server = Login(*lease).value();
  // The same names that another process would use.
  const std::string role = lease->login().user;
  const std::string stem = role.substr(0, role.size() - 16);
  pg_->Sql("CREATE ROLE \"" + stem +
           "dead1\" LOGIN VALID UNTIL '2020-01-01';"
           "CREATE ROLE \"" +
           stem + "dead2\" LOGIN; CREATE ROLE \"" + stem +
           "g_dead\";"
           "GRANT \"" +
           stem + "g_dead\" TO \"" + stem +
           "dead2\";"
           "GRANT SELECT ON shop.payments TO \"" +
           stem +
           "g_dead\";"
           "CREATE ROLE sallyport_other_1234dead LOGIN VALID UNTIL '2020-01-01'");
  auto restarted = Jit();
  RunOn(shards_, [](auto credentials) -> boost::asio::awaitable<int> {
    co_await credentials->Sweep();
    co_return 0;
  }(restarted));
  EXPECT_EQ(pg_->Sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sallyport%dead1'"), "0");
  EXPECT_EQ(pg_->Sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sallyport%dead2'"), "1");
  std::this_thread::sleep_for(2500ms);
  EXPECT_EQ(pg_->Sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'sallyport%dead%'"),
            "sallyport_other_1234dead");
  EXPECT_EQ(Ask(server, "SELECT count(*) FROM shop.orders"), "0");  // in use: left alone
  pg_->Sql("DROP ROLE sallyport_other_1234dead");
  lease->Release();
  WaitForNoRoles();
}

size_t OpenDescriptors() {
  return size_t(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

boost::asio::awaitable<int> ShortSessions(std::shared_ptr<Credentials> credentials,
                                          const op::Session& session,
                                          std::shared_ptr<const ServerAddress> address, int count) {
  int served = 0;
  for (int i = 0; i < count; ++i) {
    auto lease = co_await credentials->Borrow(session, {{"shop.orders", {"SELECT"}, {}}}, Later());
    if (!lease) continue;
    auto server = co_await LogIn(*address, (*lease)->login());
    if (server) {
      const auto rows = co_await Query(*server, "SELECT count(*) FROM shop.orders", 5s);
      served += rows.has_value();
      server->stream->Close();
    }
    (*lease)->Release();
  }
  co_return served;
}

TEST_F(CredentialsTest, ManyShortSessionsLeaveNothing) {
  const auto credentials = Jit();
  for (const size_t shard : {0, 1}) Borrow(*credentials, {}, shard).value()->Release();
  WaitForNoRoles();
  const size_t before = OpenDescriptors();
  const auto began = std::chrono::steady_clock::now();
  constexpr int kEach = 25, kTasks = 8;
  std::vector<std::future<int>> done;
  for (int i = 0; i < kTasks; ++i)
    done.push_back(boost::asio::co_spawn(shards_.executor(size_t(i) % 2),
                                         ShortSessions(credentials, session_, pg_->Plain(), kEach),
                                         boost::asio::use_future));
  int served = 0;
  for (auto& task : done) served += task.get();
  EXPECT_EQ(served, kEach * kTasks);
  const auto took = std::chrono::steady_clock::now() - began;
  std::printf("%d sessions, %.2f ms each\n", served,
              std::chrono::duration<double, std::milli>(took).count() / served);
  WaitForNoRoles();
  std::this_thread::sleep_for(100ms);
  EXPECT_LE(OpenDescriptors(), before + 2 * 4);  // the administrator's
}

}  // namespace
}  // namespace sallyport::pg
