#include "pg/scram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace sallyport::pg {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using Binding = ScramClient::Binding;

std::string Code(const auto& result) {
  return result ? "ok" : std::string(ReasonCode(result.error().code));
}

ScramClient Client(std::string nonce = "rOprNGfwEbeRWgbNEkqO", Binding binding = Binding::none) {
  return ScramClient(Secret("pencil"), binding, "", std::move(nonce));
}

/// The example of RFC 7677, section 3, is with a user name; PostgreSQL's is empty, so the proof
/// differs. The keys do not depend on the user: they are checked through the verifier, and the
/// whole exchange against values computed from the RFC's formulas with Python's hashlib and hmac.
constexpr std::string_view kFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

TEST(ScramTest, TheExchangeOfRfc7677WithoutUserName) {
  auto scram = Client();
  EXPECT_EQ(scram.First(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
  const auto final = scram.Final(kFirst);
  ASSERT_TRUE(final);
  EXPECT_EQ(*final,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=");
  EXPECT_FALSE(scram.verified());
  EXPECT_TRUE(scram.Verify("v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg="));
  EXPECT_TRUE(scram.verified());
}

TEST(ScramTest, AServerThatDoesNotKnowThePasswordIsRefused) {
  auto scram = Client();
  scram.First();
  ASSERT_TRUE(scram.Final(kFirst));
  EXPECT_EQ(Code(scram.Verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")),
            "upstream-login-failed");
  EXPECT_EQ(Code(scram.Verify("v=AAAA")), "upstream-login-failed");
  EXPECT_EQ(Code(scram.Verify("e=invalid-proof")), "upstream-login-failed");
  EXPECT_EQ(Code(scram.Verify("")), "upstream-protocol");
  EXPECT_EQ(Code(scram.Verify("v=!")), "upstream-protocol");
  EXPECT_FALSE(scram.verified());
}

TEST(ScramTest, AFinalMessageBeforeTheFirstIsRefused) {
  auto scram = Client();
  scram.First();
  EXPECT_EQ(Code(scram.Verify("v=")), "upstream-protocol");
  EXPECT_FALSE(scram.verified());
}

TEST(ScramTest, HostileFirstMessages) {
  const std::string ours = "rOprNGfwEbeRWgbNEkqO";
  const std::vector<std::string> refused{
      "",
      "r=",
      "r=" + ours + "x",
      "r=" + ours + "x,s=QUJD",
      "r=" + ours + ",s=QUJD,i=1",                           // nothing added
      "r=other" + ours + ",s=QUJD,i=1",                      // not ours
      "r=" + ours + "x,s=,i=1",                              // no salt
      "r=" + ours + "x,s=QUJ,i=1",                           // not base64
      "r=" + ours + "x,s=QUJD,i=0",                          //
      "r=" + ours + "x,s=QUJD,i=-1",                         //
      "r=" + ours + "x,s=QUJD,i=1x",                         //
      "r=" + ours + "x,s=QUJD,i=1000001",                    // beyond the cap
      "r=" + ours + "x,s=QUJD,i=4294967297",                 // wraps to 1 in 32 bits
      "r=" + ours + std::string("\x01", 1) + ",s=QUJD,i=1",  // not printable
      "m=ext,r=" + ours + "x,s=QUJD,i=1",  // a mandatory extension (RFC 5802, 5.1)
      "r=" + ours + std::string(100'000, 'x') + ",s=QUJD,i=1",
  };
  for (const std::string& message : refused) {
    auto scram = Client();
    scram.First();
    EXPECT_EQ(Code(scram.Final(message)), "upstream-protocol") << message.substr(0, 80);
  }
  auto scram = Client();
  scram.First();
  EXPECT_EQ(Code(scram.Final("r=" + ours + "x,s=QUJD,i=1")), "ok");
}

TEST(ScramTest, TheHeaderSaysHowTheChannelIsBound) {
  auto unbound = Client("n", Binding::not_offered);
  EXPECT_THAT(unbound.First(), StartsWith("y,,n=,r="));
  EXPECT_THAT(unbound.Final("r=nx,s=QUJD,i=1").value(), StartsWith("c=eSws,"));

  ScramClient bound(Secret("pencil"), Binding::end_point, "HASH", "n");
  EXPECT_THAT(bound.First(), StartsWith("p=tls-server-end-point,,n=,r="));
  EXPECT_THAT(
      bound.Final("r=nx,s=QUJD,i=1").value(),
      StartsWith("c=" + Base64Encode(AsBytes("p=tls-server-end-point,,HASH")) + ",r=nx,p="));
}

TEST(ScramTest, NoncesAreFresh) {
  ScramClient one(Secret("p"), Binding::none), two(Secret("p"), Binding::none);
  EXPECT_NE(one.First(), two.First());
}

TEST(ScramTest, VerifierOfRfc7677) {
  const auto salt = Base64Decode("W22ZaJ0SNY7soEsUEjb6gQ==").value();
  EXPECT_EQ(
      ScramVerifier("pencil", AsText(ByteView(salt)), 4096),
      "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
      ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

TEST(ScramTest, Md5) {
  EXPECT_EQ(Md5Answer("secret", "bob", "\x01\x02\x03\x04").value(),
            "md5f21dfe33ff3a9e03dbc3e008251fe5cc");
}

}  // namespace
}  // namespace sallyport::pg
