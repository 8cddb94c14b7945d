#include "pg/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/event.h"
#include "net/raw_server_for_test.h"
#include "net/shards.h"
#include "pg/frame.h"
#include "pg/postgres_for_test.h"
#include "pg/server_query.h"
#include "pg/server_wire.h"

namespace sallyport::pg {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Optional;
using testing::StartsWith;

std::string Said(const auto& result) {
  return result ? "ok"
                : std::string(ReasonCode(result.error().code)) + ": " + result.error().detail;
}

ServerLogin As(std::string user, std::string password = {}, Parameters startup = {}) {
  return {.user = std::move(user),
          .password = Secret(std::move(password)),
          .startup = std::move(startup)};
}

class ShardTest : public testing::Test {
 public:
  ShardTest() : shards_(1) { shards_.Start(); }

  Result<Server> Login(const ServerAddress& address, ServerLogin login) {
    return RunOn(shards_, LogIn(address, std::move(login)));
  }
  Result<std::vector<Row>> Ask(Server& server, std::string sql,
                               std::chrono::milliseconds limit = 5s) {
    return RunOn(shards_, Query(server, std::move(sql), limit));
  }

 protected:
  net::Shards shards_;
};

class ServerTest : public ShardTest {
 public:
  void SetUp() override {
    if (PostgresForTest::Get() == nullptr) GTEST_SKIP() << PostgresForTest::WhyNot();
    pg_ = PostgresForTest::Get();
  }

 protected:
  const PostgresForTest* pg_ = nullptr;
};

TEST_F(ServerTest, TrustAndWhatTheServerSays) {
  auto server = Login(*pg_->Plain(), As("postgres", "", {{"application_name", "it's"}}));
  ASSERT_TRUE(server) << Said(server);
  EXPECT_NE(server->pid, 0u);
  EXPECT_EQ(server->cancel_key.size(), 4u);
  ASSERT_NE(server->Parameter("server_version"), nullptr);
  EXPECT_EQ(*server->Parameter("application_name"), "it's");
  EXPECT_EQ(*server->Parameter("client_encoding"), "UTF8");
  EXPECT_EQ(*server->Parameter("standard_conforming_strings"), "on");
  EXPECT_EQ(server->Parameter("nothing"), nullptr);
  const auto rows = Ask(*server, "SELECT pg_backend_pid(), NULL, 'x'; SELECT 2");
  ASSERT_TRUE(rows) << Said(rows);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_THAT((*rows)[0], ElementsAre(Optional(std::to_string(server->pid)), std::nullopt,
                                      Optional(std::string("x"))));
  EXPECT_THAT((*rows)[1], ElementsAre(Optional(std::string("2"))));
}

TEST_F(ServerTest, PinsWinOverWhatTheSessionAsksFor) {
  auto server =
      Login(*pg_->Plain(),
            As("postgres", "",
               {{"Client_Encoding", "SJIS"}, {"options", "-c standard_conforming_strings=off"}}));
  ASSERT_TRUE(server) << Said(server);
  EXPECT_EQ(*server->Parameter("client_encoding"), "UTF8");
  EXPECT_EQ(*server->Parameter("standard_conforming_strings"), "on");
  EXPECT_THAT(Said(Login(*pg_->Plain(), As("postgres", "", {{"replication", "on"}}))),
              StartsWith("request-malformed"));
  EXPECT_THAT(Said(Login(*pg_->Plain(), As("postgres", "", {{"a", std::string("b\0c", 3)}}))),
              StartsWith("request-malformed"));
}

TEST_F(ServerTest, PasswordsAndHowTheyAreAskedFor) {
  const auto plain = pg_->Plain(), tls = pg_->Tls();
  for (const char* user : {"md5_ann", "scram_ann"}) {
    EXPECT_EQ(Said(Login(*plain, As(user, "wrong horse"))), "ok") << user;
    EXPECT_EQ(Said(Login(*tls, As(user, "wrong horse"))), "ok") << user;
    EXPECT_EQ(Said(Login(*tls, As(user, "right horse"))),
              "upstream-login-failed: 28P01: password authentication failed for user \"…\"");
    EXPECT_THAT(Said(Login(*tls, As(user))), HasSubstr("there is none"));
  }
  EXPECT_EQ(Said(Login(*tls, As("clear_ann", "wrong horse"))), "ok");
  EXPECT_THAT(Said(Login(*plain, As("clear_ann", "wrong horse"))),
              HasSubstr("in clear text without TLS"));
  EXPECT_THAT(Said(Login(*tls, As("nobody_ann", "wrong horse"))),
              StartsWith("upstream-login-failed: 28000: pg_hba.conf rejects connection for host"));
}

TEST_F(ServerTest, TheChannelIsBoundUnderTls) {
  const auto tls = pg_->Tls();
  auto server = Login(*tls, As("scram_ann", "wrong horse"));
  ASSERT_TRUE(server) << Said(server);
  EXPECT_TRUE(server->stream->tls());
  // The server would refuse a client that says "y" while it offers -PLUS, and one whose hash
  // differs; which of the mechanisms was used it only tells its log.
  EXPECT_FALSE(server->stream->tls_engine()->PeerCertificateHash().empty());
}

TEST_F(ServerTest, ClientCertificate) {
  auto server = Login(*pg_->Tls("cert_ann"), As("cert_ann"));
  ASSERT_TRUE(server) << Said(server);
  EXPECT_EQ(Ask(*server, "SELECT current_user").value()[0][0], "cert_ann");
  EXPECT_THAT(Said(Login(*pg_->Tls(), As("cert_ann"))), StartsWith("upstream-login-failed: 28000"));
}

TEST_F(ServerTest, WhoTheServerIs) {
  auto other_name = *pg_->Tls();
  other_name.host = "127.0.0.2";
  EXPECT_THAT(Said(Login(other_name, As("postgres"))), StartsWith("upstream-unreachable"));
  net::TestAuthority stranger;
  auto other_authority = *pg_->Tls();
  other_authority.tls = net::MakeClientContext(stranger.path("ca.pem")).value();
  EXPECT_THAT(Said(Login(other_authority, As("postgres"))),
              StartsWith("upstream-unreachable: TLS to the server: "));
  other_authority.sslmode = ServerAddress::SslMode::require;
  EXPECT_EQ(Said(Login(other_authority, As("postgres"))), "ok");
}

TEST_F(ServerTest, UnixSocket) {
  auto address = *pg_->Plain();
  address.host = pg_->directory();
  address.sslmode = ServerAddress::SslMode::verify_full;
  EXPECT_EQ(Said(Login(address, As("clear_ann"))), "ok");
}

TEST_F(ServerTest, NoSuchDatabaseOrParameter) {
  EXPECT_EQ(Said(Login(*pg_->Plain("nowhere"), As("postgres"))),
            "upstream-login-failed: 3D000: database \"…\" does not exist");
  EXPECT_EQ(Said(Login(*pg_->Plain(), As("postgres", "", {{"no_such", "1"}}))),
            "upstream-login-failed: 42704: unrecognized configuration parameter \"…\"");
  auto nobody = *pg_->Plain();
  nobody.port = 1;
  EXPECT_THAT(Said(Login(nobody, As("postgres"))), StartsWith("upstream-unreachable"));
}

TEST_F(ServerTest, AFailedQuestionLeavesTheServerUsable) {
  auto server = Login(*pg_->Plain(), As("postgres")).value();
  const auto failed = Ask(server, "SELECT '4111111111111111'::int; SELECT 1");
  EXPECT_EQ(Said(failed), "upstream-protocol: 22003: value \"…\" is out of range for type integer");
  EXPECT_EQ(Ask(server, "SELECT 7").value()[0][0], "7");
  EXPECT_THAT(Said(Ask(server, std::string("SELECT 1\0;", 10))), StartsWith("internal"));
  const auto wide = Ask(server, "SELECT repeat('x', 3000000), 'end'");
  ASSERT_TRUE(wide) << Said(wide);
  EXPECT_EQ((*wide)[0][0]->size(), 3'000'000u);
  EXPECT_EQ((*wide)[0][1], "end");
  EXPECT_THAT(Said(Ask(server, "COPY (SELECT 1) TO STDOUT")), StartsWith("upstream-protocol"));
  EXPECT_TRUE(server.stream->closed());
}

TEST_F(ServerTest, AnAnswerThatTakesTooLongEndsTheConnection) {
  auto server = Login(*pg_->Plain(), As("postgres")).value();
  EXPECT_THAT(Said(Ask(server, "SELECT pg_sleep(5)", 50ms)), StartsWith("upstream-timeout"));
  EXPECT_TRUE(server.stream->closed());
  EXPECT_FALSE(Ask(server, "SELECT 1"));
}

boost::asio::awaitable<Result<std::vector<Row>>> AskAndCancel(
    Server& server, std::shared_ptr<const ServerAddress> address) {
  net::Spawn(co_await net::ThisExecutor(),
             [](auto to, uint32_t pid, std::string key) -> boost::asio::awaitable<void> {
               (void)co_await net::Sleep(100ms);
               EXPECT_TRUE(co_await SendCancel(to, pid, key));
             }(address, server.pid, server.cancel_key));
  co_return co_await Query(server, "SELECT pg_sleep(10)", 8s);
}

TEST_F(ServerTest, CancelPlainAndUnderTls) {
  for (const auto& address : {pg_->Plain(), pg_->Tls()}) {
    auto server = Login(*address, As("postgres")).value();
    EXPECT_EQ(Said(RunOn(shards_, AskAndCancel(server, address))),
              "upstream-protocol: 57014: canceling statement due to user request");
  }
}

/// A server that says exactly `bytes` after the startup packet, and then nothing.
class HostileServerTest : public ShardTest {
 public:
  std::string LoginAgainst(std::string bytes, std::string password = {}, bool tls = false) {
    net::RawServer server([&](int fd, int) {
      char c[4096];
      if (::recv(fd, c, sizeof c, 0) <= 0) return;
      net::RawServer::Send(fd, bytes);
      net::RawServer::Closed(fd, 3000);
    });
    ServerAddress address;
    address.host = "127.0.0.1";
    address.port = server.port();
    address.database = "d";
    address.sslmode = tls ? ServerAddress::SslMode::require : ServerAddress::SslMode::disable;
    address.connect_timeout = 300ms;
    address.protocol_minor = minor_;
    if (tls) address.tls = net::MakeClientContext(authority_.path("ca.pem")).value();
    return Said(Login(address, As("u", std::move(password))));
  }
  static std::string Message(char type, std::string_view body) {
    std::string out;
    MessageWriter(out).Begin(type).Bytes(body).End();
    return out;
  }
  static std::string Auth(uint32_t kind, std::string_view rest = {}) {
    std::string out;
    MessageWriter(out).Begin('R').U32(kind).Bytes(rest).End();
    return out;
  }
  static std::string Pair(std::string_view name, std::string_view value) {
    return Message('S', std::string(name) + '\0' + std::string(value) + '\0');
  }

 protected:
  uint32_t minor_ = 0;
  net::TestAuthority authority_;
  const std::string key_ = Message('K', std::string(8, 'k'));
  const std::string ready_ = Message('Z', "I");
  const std::string pins_ =
      Pair("client_encoding", "UTF8") + Pair("standard_conforming_strings", "on");
};

TEST_F(HostileServerTest, WhatAnHonestServerWouldSayIsAccepted) {
  EXPECT_EQ(LoginAgainst(Auth(0) + pins_ + key_ + ready_), "ok");
  // Notices are kept; a parameter may come twice.
  EXPECT_EQ(LoginAgainst(Message('N', "") + Auth(0) + pins_ + pins_ + key_ + ready_), "ok");
}

TEST_F(HostileServerTest, LengthsAndOrder) {
  using namespace std::string_literals;
  const std::string protocol = "upstream-protocol: login: ";
  const std::vector<std::string> cases{
      "R\0\0\0\3\0\0\0\0"s,
      "R\0\0\0\0"s,
      "R\xff\xff\xff\xff"s,
      "R\x7f\xff\xff\xff"s,
      "R\0\0\0\6\0\0"s,                 // shorter than its kind
      Auth(0, "x"),                     // longer than its kind
      Auth(0) + Auth(0),                //
      Auth(5, "abc"),                   // md5 with a short salt
      pins_ + Auth(0),                  // before authentication
      ready_,                           //
      key_,                             //
      Auth(0) + Message('Z', "T"),      // in a transaction
      Auth(0) + Message('Z', ""),       //
      Auth(0) + Message('K', "short"),  //
      Auth(0) + Message('K', std::string(40, 'k')),
      Auth(0) + Message('S', "no end"),
      Auth(0) + Message('S', std::string("a\0b\0c", 5)),
      Auth(0) + Message('D', std::string(2, '\xff')),
      Auth(0) + Message('?', ""),
      Message('v', std::string(8, '\0')),   // nothing was to be negotiated
      Auth(10, "no end"),                   //
      "HTTP/1.1 400 Bad Request\r\n\r\n"s,  //
  };
  for (const std::string& bytes : cases) {
    EXPECT_THAT(LoginAgainst(bytes, "p"), StartsWith(protocol)) << testing::PrintToString(bytes);
  }
  EXPECT_THAT(LoginAgainst("R\0"s), StartsWith("upstream-timeout"));
  std::string flood = Auth(0);
  for (int i = 0; i < 2000; ++i) flood += Pair("p" + std::to_string(i), "v");
  EXPECT_THAT(LoginAgainst(flood), StartsWith(protocol));
}

TEST_F(HostileServerTest, SessionsWithoutThePinsAreRefused) {
  EXPECT_EQ(LoginAgainst(Auth(0) + key_ + ready_),
            "upstream-protocol: the server does not keep client_encoding");
  EXPECT_EQ(LoginAgainst(Auth(0) + Pair("client_encoding", "UTF8") +
                         Pair("standard_conforming_strings", "off") + key_ + ready_),
            "upstream-protocol: the server does not keep standard_conforming_strings");
}

TEST_F(HostileServerTest, WaysToAuthenticate) {
  EXPECT_THAT(LoginAgainst(Auth(3), "p"), HasSubstr("in clear text without TLS"));
  EXPECT_THAT(LoginAgainst(Auth(7), "p"), HasSubstr("not supported"));  // GSS
  EXPECT_THAT(LoginAgainst(Auth(11, "r=x"), "p"), HasSubstr("not supported"));
  EXPECT_THAT(LoginAgainst(Auth(5, "salt") + Auth(3), "p"), HasSubstr("twice"));
  EXPECT_THAT(LoginAgainst(Auth(10, std::string("SCRAM-SHA-1\0\0", 13)), "p"),
              HasSubstr("no SASL mechanism"));
  EXPECT_THAT(LoginAgainst(Auth(10, std::string("SCRAM-SHA-256-PLUS\0\0", 20)), "p"),
              HasSubstr("without TLS"));
  const std::string offer = Auth(10, std::string("SCRAM-SHA-256\0\0", 15));
  // A server that lets everybody in after asking, without a proof of its own.
  EXPECT_THAT(LoginAgainst(offer + Auth(0) + pins_ + key_ + ready_, "p"),
              HasSubstr("did not prove itself"));
  EXPECT_THAT(LoginAgainst(offer + Auth(12, "v=AAAA"), "p"), StartsWith("upstream-protocol"));
  EXPECT_THAT(LoginAgainst(offer + Auth(11, "r=" + std::string(50'000, 'n') + ",s=QUJD,i=1"), "p"),
              StartsWith("upstream-protocol: SCRAM"));
  EXPECT_THAT(LoginAgainst(offer + Auth(11, std::string(70'000, 'n')), "p"), HasSubstr("too long"));
}

TEST_F(HostileServerTest, Errors) {
  EXPECT_EQ(LoginAgainst(Message('E', "")), "upstream-login-failed: XX000: ");
  EXPECT_EQ(LoginAgainst(Message('E', std::string("Mno\0", 4))),
            "upstream-login-failed: XX000: no");
  EXPECT_EQ(LoginAgainst(Message('E', std::string("C12\0Mcut", 8))),
            "upstream-login-failed: XX000: ");
  EXPECT_EQ(LoginAgainst(Message(
                'E', std::string("C42601\0Mcard 4111 1111-1111 1111 of \"a\"\0\0",
                                 sizeof "C42601\0Mcard 4111 1111-1111 1111 of \"a\"\0\0" - 1))),
            "upstream-login-failed: 42601: card … of \"…\"");
}

TEST_F(HostileServerTest, AnswersToTheRequestForTls) {
  EXPECT_EQ(LoginAgainst("N", "p", true),
            "upstream-protocol: login: the server does not offer TLS");
  EXPECT_THAT(LoginAgainst("E", "p", true), StartsWith("upstream-protocol"));
  EXPECT_EQ(LoginAgainst("S" + Auth(0) + pins_ + key_ + ready_, "p", true),
            "upstream-protocol: login: the server sent plain bytes before TLS");
}

TEST_F(HostileServerTest, Protocol32) {
  using namespace std::string_literals;
  minor_ = 2;
  const std::string older = Message('v', "\0\0\0\0\0\0\0\0"s);
  EXPECT_EQ(LoginAgainst(older + Auth(0) + pins_ + key_ + ready_), "ok");
  EXPECT_EQ(LoginAgainst(Message('v', "\0\3\0\0\0\0\0\0"s) + Auth(0) + pins_ + key_ + ready_),
            "ok");
  EXPECT_EQ(LoginAgainst(Auth(0) + pins_ + Message('K', std::string(36, 'k')) + ready_), "ok");
  for (const std::string& wrong :
       {Message('v', "\0\0\0\2\0\0\0\0"s), Message('v', "\0\0\0\0\0\0\0\1x\0"s), older + older,
        Message('v', "\0\4\0\0\0\0\0\0"s), Message('v', "\0\0"s),
        older + Auth(0) + Message('K', std::string(36, 'k'))}) {
    EXPECT_THAT(LoginAgainst(wrong + Auth(0) + pins_ + ready_), StartsWith("upstream-protocol"))
        << testing::PrintToString(wrong);
  }
}

TEST_F(HostileServerTest, RowsThatAreNotRows) {
  using namespace std::string_literals;
  for (const std::string& row : {"\xff\xff"s, "\0\1"s, "\0\1\0\0\0\5abc"s, "\0\1\xff\xff\xff\xfe"s,
                                 "\0\1\0\0\0\1ab"s, "\0"s}) {
    net::RawServer raw([&](int fd, int) {
      char c[4096];
      if (::recv(fd, c, sizeof c, 0) <= 0) return;
      net::RawServer::Send(fd, Auth(0) + pins_ + key_ + ready_);
      if (::recv(fd, c, sizeof c, 0) <= 0) return;
      net::RawServer::Send(fd, Message('D', row) + ready_);
      net::RawServer::Closed(fd, 3000);
    });
    ServerAddress address;
    address.host = "127.0.0.1", address.port = raw.port(), address.database = "d";
    address.sslmode = ServerAddress::SslMode::disable;
    auto server = Login(address, As("u"));
    ASSERT_TRUE(server) << Said(server);
    EXPECT_EQ(Said(Ask(*server, "SELECT 1")), "upstream-protocol: query: a malformed row")
        << testing::PrintToString(row);
    EXPECT_TRUE(server->stream->closed());
  }
}

TEST(RedactMessageTest, KeepsWordsOnly) {
  EXPECT_EQ(RedactMessage("relation \"a\" does not exist"), "relation \"…\" does not exist");
  EXPECT_EQ(RedactMessage("invalid 'x y' (\"b"), "invalid \"…\" (\"…\"");
  EXPECT_EQ(RedactMessage("can't do 12 of 4539577986432614"), "can't do 12 of …");
  EXPECT_EQ(RedactMessage("card 4539-5779 8643.2614."), "card ….");
  EXPECT_EQ(RedactMessage("\xef\xbc\x94\n"), "????");
  EXPECT_LE(RedactMessage(std::string(1000, 'a')).size(), 210u);
}

}  // namespace
}  // namespace sallyport::pg
