#include "pg/arrival.h"

#include <gmock/gmock.h>

#include "pg/arrival_for_test.h"

namespace sallyport::pg {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

const std::string kAskPassword("R\0\0\0\x08\0\0\0\x03", 9);
const std::string kAskOAuth("R\0\0\0\x15\0\0\0\x0aOAUTHBEARER\0\0", 22);
const Parameters kAlice = {{"user", "alice"}, {"database", "db"}};

std::string Text(const std::string& message) {
  return message.size() < 5 ? "<" + message + ">" : message.substr(5);
}

/// The answer to one login by password under TLS.
std::string LogIn(ArrivalTest& test, const std::string& password, Parameters startup = kAlice) {
  WireClient client(test.port());
  client.Send(kSslRequest);
  if (client.Take(1) != "S" || !client.StartTls()) return "no TLS";
  client.Send(StartupPacket(startup));
  if (std::string asked = client.Message(); asked != kAskPassword) return asked;
  client.Send(PasswordMessage(password));
  return client.Message();
}

TEST_F(ArrivalTest, ATokenAsThePassword) {
  EXPECT_EQ(Text(LogIn(*this, Token())), "alice db alice 127.0.0.1 3.0 tls []");
  EXPECT_EQ(Text(LogIn(*this, Token(), {{"user", "token"}, {"options", "-c a=b"}})),
            "token token alice 127.0.0.1 3.0 tls a=b []");
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(ArrivalTest, LongTokens) {
  EXPECT_THAT(Text(LogIn(*this, TokenOf(8'000))), StartsWith("alice"));
  // The verifier has its own bound; the wire takes what PostgreSQL takes.
  EXPECT_THAT(Field(LogIn(*this, std::string(65'535, 'x')), 'D'), HasSubstr("token-malformed"));
  EXPECT_EQ(Field(LogIn(*this, std::string(65'536, 'x')), 'M'), "invalid message length");
}

TEST_F(ArrivalTest, RefusedTokensSayWhy) {
  auto expired = identity::test::Claims();
  expired["exp"] = identity::test::kIat - 600;
  expired["iat"] = identity::test::kIat - 4000;
  const std::string answer = LogIn(*this, Token(expired));
  EXPECT_EQ(Field(answer, 'S') + Field(answer, 'C'), "FATAL28P01");
  EXPECT_THAT(Field(answer, 'D'), StartsWith("Reason: token-expired"));
  EXPECT_THAT(Field(answer, 'H'), HasSubstr("Get a new access token"));
  EXPECT_EQ(Field(LogIn(*this, "secret"), 'C'), "28P01");
  EXPECT_EQ(Field(LogIn(*this, ""), 'C'), "28P01");
  const std::string foreign = LogIn(*this, Token(), {{"user", "bob"}, {"database", "x"}});
  EXPECT_EQ(Field(foreign, 'C'), "28000");
  EXPECT_THAT(Field(foreign, 'D'), HasSubstr("identity-mismatch"));
  EXPECT_THAT(refused(), ElementsAre(Seen{"token-expired", "db"}, Seen{"token-malformed", "db"},
                                     Seen{"token-missing", "db"}, Seen{"identity-mismatch", "x"}));
}

TEST_F(ArrivalTest, TheAudienceIsJudgedByTheConnection) {
  auto corp = identity::test::Corp();
  corp.resource_prefix = "https://gate/pg/";
  auto verifier = identity::TokenVerifier::Create({.providers = {corp}, .agents = {}}, idp_.fetch(),
                                                  clock_, {});
  ASSERT_TRUE(verifier);
  (*verifier)->FetchDue();
  options_.verifier = verifier->get();
  options_.resource = "https://gate/pg/";
  auto claims = identity::test::Claims();
  claims["aud"] = "https://gate/pg/db";
  EXPECT_THAT(Text(LogIn(*this, Token(claims))), StartsWith("alice db"));
  EXPECT_THAT(Field(LogIn(*this, Token(claims), {{"user", "alice"}, {"database", "other"}}), 'D'),
              HasSubstr("token-audience-wrong"));
  TearDown();  // before the verifier goes
}

TEST_F(ArrivalTest, AfterTooManyBadTokensOnlyKnownOnesAreRead) {
  int asked = 0;
  options_.may_read = [&](const std::string& address, const std::string& database) -> Result<> {
    EXPECT_EQ(address + " " + database, "127.0.0.1 db");
    return ++asked < 2 ? Result<>() : Fail(Errc::rate_limited);
  };
  const std::string good = Token();
  EXPECT_THAT(Text(LogIn(*this, good)), StartsWith("alice db"));
  const std::string turned = LogIn(*this, "secret");
  EXPECT_EQ(Field(turned, 'C'), "53300");
  EXPECT_THAT(Field(turned, 'D'), HasSubstr("rate-limited"));
  EXPECT_THAT(Text(LogIn(*this, good)), StartsWith("alice db"));
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(ArrivalTest, NoCredentialInClearText) {
  WireClient client(port());
  client.Send(StartupPacket(kAlice));
  const std::string answer = client.Message();
  EXPECT_EQ(Field(answer, 'C'), "28000");
  EXPECT_THAT(Field(answer, 'H'), HasSubstr("sslmode"));
  EXPECT_EQ(client.ReadAll(), "");
  EXPECT_THAT(refused(), ElementsAre(Seen{"capability-missing", "db"}));
}

TEST_F(ArrivalTest, OnLoopbackItMayBePlain) {
  options_.plain_password = true;
  options_.tls = nullptr;
  WireClient client(port());
  client.Send(kGssRequest);
  EXPECT_EQ(client.Take(1), "N");
  client.Send(kSslRequest);
  EXPECT_EQ(client.Take(1), "N");
  client.Send(StartupPacket(kAlice, 2));
  EXPECT_EQ(client.Message(), kAskPassword);
  client.Send(PasswordMessage(Token()) + "Q...");
  EXPECT_EQ(Text(client.Message()), "alice db alice 127.0.0.1 3.2 plain [Q...]");
}

TEST_F(ArrivalTest, EachRequestForEncryptionOnce) {
  options_.plain_password = true;
  for (const auto& [first, second] :
       {std::pair(kGssRequest, kGssRequest), {kSslRequest, kSslRequest}}) {
    options_.tls = nullptr;
    WireClient client(port());
    client.Send(first);
    EXPECT_EQ(client.Take(1), "N");
    client.Send(second);
    EXPECT_EQ(Field(client.Message(), 'C'), "0A000");
  }
}

TEST_F(ArrivalTest, NoRequestForEncryptionUnderTls) {
  for (const std::string& again : {kSslRequest, kGssRequest}) {
    WireClient client(port());
    client.Send(kSslRequest);
    ASSERT_EQ(client.Take(1), "S");
    ASSERT_TRUE(client.StartTls("\x0apostgresql"));
    client.Send(again);
    EXPECT_EQ(Field(client.Message(), 'C'), "0A000");
  }
}

TEST_F(ArrivalTest, PlainBytesBehindARequestForEncryptionEndTheConnection) {
  for (const std::string& request : {kSslRequest, kGssRequest}) {
    WireClient client(port());
    client.Send(request + StartupPacket(kAlice));
    const std::string all = client.ReadAll();
    EXPECT_EQ(Field(all, 'C'), "08P01") << "the first byte is no S and no N";
    EXPECT_EQ(all.size(), PeekHead(all)->total());
  }
  EXPECT_EQ(refused().size(), 2u);
}

TEST_F(ArrivalTest, DirectTlsNeedsItsName) {
  WireClient good(port());
  ASSERT_TRUE(good.StartTls("\x0apostgresql"));
  good.Send(StartupPacket(kAlice));
  EXPECT_EQ(good.Message(), kAskPassword);
  good.Send(PasswordMessage(Token()));
  EXPECT_THAT(Text(good.Message()), StartsWith("alice db"));

  WireClient nameless(port());
  ASSERT_TRUE(nameless.StartTls());
  EXPECT_EQ(Field(nameless.Message(), 'C'), "08P01");
  WireClient other(port());
  EXPECT_FALSE(other.StartTls("\x08http/1.1"));
  WireClient asked(port());
  asked.Send(kSslRequest);
  ASSERT_EQ(asked.Take(1), "S");
  EXPECT_FALSE(asked.StartTls("\x02h2")) << "a name that is offered has to be ours";
  options_.tls = nullptr;
  WireClient none(port());
  EXPECT_FALSE(none.StartTls("\x0apostgresql"));
}

TEST_F(ArrivalTest, LengthsOfStartupPackets) {
  options_.plain_password = true;
  for (uint32_t length : {0u, 4u, 7u, 10'005u, 0x7fffffffu, 0xffffffffu}) {
    WireClient client(port());
    std::string head(4, 0);
    Store32(head.data(), length);
    client.Send(head);
    EXPECT_EQ(Field(client.Message(), 'C'), "08P01") << length;
  }
  const size_t fixed = StartupPacket({{"user", "alice"}, {"x", ""}}).size();
  WireClient client(port());
  client.Send(StartupPacket({{"user", "alice"}, {"x", std::string(10'000 - fixed, 'x')}}));
  EXPECT_EQ(client.Message(), kAskPassword);
  WireClient http(port());
  http.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(Field(http.Message(), 'C'), "08P01");
}

TEST_F(ArrivalTest, EveryByteOnItsOwn) {
  options_.plain_password = true;
  WireClient client(port());
  const auto drip = [&](const std::string& bytes) {
    for (char c : bytes) {
      client.Send(std::string(1, c));
      std::this_thread::sleep_for(100us);
    }
  };
  drip(kGssRequest);
  EXPECT_EQ(client.Take(1), "N");
  drip(StartupPacket({{"user", "alice"}}));
  EXPECT_EQ(client.Message(), kAskPassword);
  drip(PasswordMessage(Token()));
  EXPECT_THAT(Text(client.Message()), StartsWith("alice alice"));
}

TEST_F(ArrivalTest, NegotiationComesBeforeTheQuestion) {
  options_.plain_password = true;
  WireClient client(port());
  client.Send(StartupPacket({{"user", "alice"}, {"_pq_.x", "1"}}, 9999));
  EXPECT_EQ(client.Message(), std::string("v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0", 20));
  EXPECT_EQ(client.Message(), kAskPassword);
}

TEST_F(ArrivalTest, WhatIsRefusedBeforeTheQuestion) {
  options_.plain_password = true;
  for (const auto& [packet, sqlstate] :
       {std::pair(Packet(2 << 16, ""), "0A000"),
        {StartupPacket({{"database", "x"}}), "28000"},
        {StartupPacket({{"user", "a"}, {"replication", "true"}}), "0A000"},
        {StartupPacket({{"user", "a"}, {"options", "-W 1"}}), "42601"}}) {
    WireClient client(port());
    client.Send(packet);
    EXPECT_EQ(Field(client.Message(), 'C'), sqlstate);
    EXPECT_EQ(client.ReadAll(), "");
  }
  EXPECT_EQ(refused().size(), 4u);
}

TEST_F(ArrivalTest, OtherMessagesInPlaceOfThePassword) {
  options_.plain_password = true;
  for (const std::string& bytes :
       {std::string("Q\0\0\0\5\0", 6), std::string("p\0\0\0\3", 5),
        std::string("p\x3f\xff\xff\xff", 5), std::string("p\0\0\0\5x", 6),
        std::string("p\0\0\0\4", 5), std::string("\0", 1)}) {
    WireClient client(port());
    client.Send(StartupPacket(kAlice));
    ASSERT_EQ(client.Message(), kAskPassword);
    client.Send(bytes);
    EXPECT_EQ(Field(client.Message(), 'C'), "08P01") << testing::PrintToString(bytes);
  }
}

TEST_F(ArrivalTest, CancelRequestsPlainAndUnderTls) {
  const std::string cancel = Packet(80877102, std::string("\0\0\0\7secret", 10));
  WireClient plain(port());
  plain.Send(cancel);
  EXPECT_EQ(plain.ReadAll(), "");
  WireClient asked(port());
  asked.Send(kSslRequest);
  ASSERT_EQ(asked.Take(1), "S");
  ASSERT_TRUE(asked.StartTls());
  asked.Send(cancel);
  EXPECT_EQ(asked.ReadAll(), "");
  WireClient direct(port());
  ASSERT_TRUE(direct.StartTls("\x0apostgresql"));
  direct.Send(cancel);
  EXPECT_EQ(direct.ReadAll(), "");
  EXPECT_EQ(cancels_, 3);
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(ArrivalTest, TheDeadlineCoversEverything) {
  options_.plain_password = true;
  options_.login_deadline = 150ms;
  WireClient silent(port()), slow(port()), undecided(port()), shaking(port());
  slow.Send(std::string("\0\0\0\x20\0\3", 6));
  undecided.Send(StartupPacket(kAlice));
  shaking.Send(kSslRequest);
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_EQ(slow.ReadAll(), "");
  EXPECT_EQ(undecided.Message(), kAskPassword);
  EXPECT_EQ(Field(undecided.Message(), 'C'), "57014");
  EXPECT_EQ(shaking.ReadAll(), "S");
  EXPECT_THAT(refused(), ElementsAre(Seen{"token-missing", "db"}));
}

TEST_F(ArrivalTest, LeavingIsNoEvent) {
  options_.plain_password = true;
  {
    WireClient mute(port()), half(port()), asked(port());
    half.Send(std::string("\0\0\0", 3));
    asked.Send(StartupPacket(kAlice));
    EXPECT_EQ(asked.Message(), kAskPassword);
  }
  EXPECT_TRUE(Eventually([&] { return listener_->connections() == 0; }));
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(ArrivalTest, SilentConnectionsBlockNobody) {
  options_.login_deadline = 3s;
  std::vector<std::unique_ptr<WireClient>> silent;
  for (int i = 0; i < 400; ++i) {
    silent.push_back(std::make_unique<WireClient>(port()));
    if (i % 2 == 0) silent.back()->Send(std::string("\0\0\0\x20", 4));
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(Text(LogIn(*this, Token())), StartsWith("alice db"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_TRUE(Eventually([&] { return listener_->connections() == 0; }));
}

class OAuthTest : public ArrivalTest {
 public:
  /// A client that has been asked.
  std::unique_ptr<WireClient> Ask() {
    options_.plain_password = true;
    auto client = std::make_unique<WireClient>(port());
    client->Send(StartupPacket(
        {{"user", "alice"}, {"database", "db"}, {"options", "-c sallyport.auth=oauthbearer"}}));
    EXPECT_EQ(client->Message(), kAskOAuth);
    return client;
  }
  static std::string Initial(const std::string& response) {
    std::string out;
    MessageWriter(out)
        .Begin('p')
        .CString("OAUTHBEARER")
        .U32(uint32_t(response.size()))
        .Bytes(response)
        .End();
    return out;
  }
  static std::string Response(const std::string& response) {
    std::string out;
    MessageWriter(out).Begin('p').Bytes(response).End();
    return out;
  }
  static std::string Bearer(const std::string& token) {
    return "n,,\1auth=Bearer " + token + "\1\1";
  }
};

TEST_F(OAuthTest, TheTokenInTheInitialResponse) {
  auto client = Ask();
  client->Send(Initial(Bearer(Token())));
  EXPECT_EQ(Text(client->Message()), "alice db alice 127.0.0.1 3.0 plain []")
      << "no SASLFinal, and the setting is not passed on";
}

TEST_F(OAuthTest, TheTokenAfterAnEmptyChallenge) {
  auto client = Ask();
  client->Send(std::string("p\0\0\0\x14OAUTHBEARER\0\xff\xff\xff\xff", 21));
  EXPECT_EQ(client->Message(), std::string("R\0\0\0\x08\0\0\0\x0b", 9));
  client->Send(Response(Bearer(Token())));
  EXPECT_THAT(Text(client->Message()), StartsWith("alice db"));
}

TEST_F(OAuthTest, DiscoveryIsNoFailure) {
  auto client = Ask();
  client->Send(Initial("n,,\1auth=\1\1"));
  EXPECT_EQ(Text(client->Message()),
            std::string("\0\0\0\x0b", 4) +
                R"({ "status": "invalid_token", "openid-configuration": )"
                R"("https://idp/.well-known/openid-configuration", "scope": "openid" })");
  client->Send(Response("\1"));
  EXPECT_EQ(Field(client->Message(), 'C'), "28000");
  EXPECT_EQ(client->ReadAll(), "");
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(OAuthTest, ABadTokenIsRecordedEvenIfTheClientLeaves) {
  auto polite = Ask();
  polite->Send(Initial(Bearer("abc")));
  EXPECT_THAT(polite->Message(), HasSubstr("invalid_token"));
  polite->Send(Response("\1"));
  const std::string answer = polite->Message();
  EXPECT_EQ(Field(answer, 'C'), "28000");
  EXPECT_THAT(Field(answer, 'D'), HasSubstr("token-malformed"));
  EXPECT_THAT(refused(), ElementsAre(Seen{"token-malformed", "db"}));
  auto rude = Ask();
  rude->Send(Initial(Bearer("abc")));
  EXPECT_THAT(rude->Message(), HasSubstr("invalid_token"));
  EXPECT_EQ(refused().size(), 2u);
}

TEST_F(OAuthTest, AfterAFailureOneAnswerOnly) {
  for (const std::string& answer : {Response("\1\1"), Response(""), Response(Bearer(Token()))}) {
    auto client = Ask();
    client->Send(Initial("n,,\1auth=\1\1"));
    (void)client->Message();
    client->Send(answer);
    EXPECT_EQ(Field(client->Message(), 'C'), "08P01");
  }
}

TEST_F(OAuthTest, Violations) {
  for (const auto& [message, sqlstate] : {std::pair(Initial("p=x,,\1auth=Bearer a\1\1"), "08P01"),
                                          {Initial("n,a=bob,\1auth=Bearer a\1\1"), "0A000"},
                                          {Initial("n,,\1auth=Bearer a\1\1x"), "08P01"},
                                          {Initial(""), "08P01"},
                                          {PasswordMessage("PLAIN"), "08P01"},
                                          {std::string("p\0\1\0\7", 5), "08P01"}}) {
    auto client = Ask();
    client->Send(message);
    EXPECT_EQ(Field(client->Message(), 'C'), sqlstate);
  }
}

TEST_F(OAuthTest, ANameThatIsNotOnesOwn) {
  options_.plain_password = true;
  WireClient client(port());
  client.Send(StartupPacket({{"user", "bob"}, {"sallyport.auth", "oauthbearer"}}));
  EXPECT_EQ(client.Message(), kAskOAuth);
  client.Send(Initial(Bearer(Token())));
  EXPECT_EQ(Field(client.Message(), 'C'), "28000");
  EXPECT_THAT(refused(), ElementsAre(Seen{"identity-mismatch", "bob"}));
}

}  // namespace
}  // namespace sallyport::pg
