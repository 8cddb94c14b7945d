// What the verifier knows of sessions, logins and revocations.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "access/store_memory.h"
#include "access/token.h"
#include "identity/signer.h"
#include "identity/test_idp.h"
#include "identity/verifier.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;
using test::kIat;

constexpr const char* kLogout = "http://schemas.openid.net/event/backchannel-logout";

class AccessTest : public testing::Test {
 protected:
  void SetUp() override {
    idp_.ServeKeys({signer_.PublicJwk()});
    ProviderConfig corp = test::Corp();
    corp.client_id = "console";
    auto made = TokenVerifier::Create({.providers = {corp}, .agents = {}}, idp_.fetch(), clock_,
                                      {.sessions = sessions_.get()});
    ASSERT_TRUE(made) << made.error().detail;
    verifier_ = std::move(*made);
    verifier_->FetchDue();
  }
  template <class T>
  Result<T> Await(Task<T> task) {
    boost::asio::io_context io(1);
    std::optional<Result<T>> result;
    boost::asio::co_spawn(io, std::move(task), [&](std::exception_ptr e, Result<T> r) {
      if (e) std::rethrow_exception(e);
      result = std::move(r);
    });
    io.run();
    return std::move(*result);
  }
  access::Opened Open(const std::string& kind = "cli") {
    op::Principal who;
    who.issuer = "https://idp";
    who.subject = "alice";
    who.groups = {"support"};
    auto opened =
        Await(sessions_->Open({.who = who, .kind = kind, .authenticated_at = clock_.WallNow()}));
    EXPECT_TRUE(opened);
    return *opened;
  }
  std::string Code(std::string_view token) {
    auto verdict = verifier_->Verify(token);
    return std::string(verdict ? "ok" : ReasonCode(verdict.error().code));
  }
  std::string Sign(const json& claims, const std::string& typ) {
    return *signer_.Sign(claims.dump(), typ);
  }
  std::string LoginCode(const json& claims, IdTokenCheck check = {},
                        const std::string& typ = "JWT") {
    if (check.client_id.empty()) check.client_id = "console";
    if (check.nonce.empty()) check.nonce = "n1";
    auto verdict = Await(verifier_->AuthenticateLogin(Sign(claims, typ), check, {}));
    return std::string(verdict ? "ok" : ReasonCode(verdict.error().code));
  }
  std::string LogoutCode(const json& claims, const std::string& typ = "logout+jwt") {
    auto verdict = Await(verifier_->AuthenticateLogout(Sign(claims, typ), {}));
    return std::string(verdict ? "ok" : ReasonCode(verdict.error().code));
  }
  static json Login() {
    return {{"iss", "https://idp"}, {"aud", "console"}, {"sub", "alice"},    {"iat", kIat},
            {"exp", kIat + 300},    {"nonce", "n1"},    {"auth_time", kIat}, {"sid", "s1"}};
  }
  static json Logout() {
    return {{"iss", "https://idp"},
            {"aud", "console"},
            {"sub", "alice"},
            {"iat", kIat},
            {"exp", kIat + 120},
            {"jti", "j1"},
            {"events", {{kLogout, json::object()}}}};
  }
  static json With(json claims, const std::string& name, json value) {
    claims[name] = std::move(value);
    return claims;
  }

  Signer signer_ = *Signer::Generate(Alg::es256, "k1");
  test::FakeClock clock_;
  test::FakeIdp idp_{"https://idp"};
  std::unique_ptr<access::Sessions> sessions_ =
      access::Sessions::Make({}, std::make_shared<access::MemoryStore>(), clock_);
  std::unique_ptr<TokenVerifier> verifier_;
};

TEST_F(AccessTest, ASessionIsACredentialLikeOthers) {
  const auto opened = Open();
  const auto verified = verifier_->Verify(opened.token, nullptr, "https://gate/mcp/any");
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ((*verified)->principal.subject, "alice");
  EXPECT_EQ((*verified)->principal.token_class, "session");
  EXPECT_EQ((*verified)->principal.session, opened.id);
  EXPECT_EQ(verifier_->Known(opened.token), *verified);  // the same object, as callers are known by
  EXPECT_EQ(Code("sps_nonsense"), "token-malformed");
  EXPECT_EQ(Code(access::NewToken()), "session-ended") << "its client has to sign in again";
  EXPECT_EQ(Code(Open("web").token), "token-type-wrong");
}

TEST_F(AccessTest, LockedAndEndedSessionsAreRefusedAtOnce) {
  const auto opened = Open();
  const auto verified = *verifier_->Verify(opened.token);
  clock_.Advance(minutes(15));
  EXPECT_EQ(Code(opened.token), "session-locked");
  EXPECT_EQ(verifier_->Known(opened.token), nullptr);
  EXPECT_EQ(verifier_->Holds(*verified).error().code, Errc::session_locked);
  op::Principal fresh = verified->principal;
  fresh.groups = {"support", "leads"};
  ASSERT_TRUE(Await(sessions_->Unlock(opened.id, fresh, clock_.WallNow())));
  const auto again = verifier_->Verify(opened.token);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->principal.groups.size(), 2u);
  ASSERT_TRUE(Await(sessions_->Revoke({.session = opened.id}, "a", "b")));
  EXPECT_EQ(Code(opened.token), "session-ended");
  EXPECT_EQ(verifier_->Known(opened.token), nullptr);
  EXPECT_EQ(verifier_->Holds(**again).error().code, Errc::session_ended);
}

TEST_F(AccessTest, ARevokedPersonHasNoOldToken) {
  const std::string token = Sign(test::Claims(), "at+jwt");
  const auto verified = verifier_->Verify(token);
  ASSERT_TRUE(verified);
  clock_.Advance(seconds(10));
  ASSERT_TRUE(Await(sessions_->Revoke({.issuer = "https://idp", .subject = "alice"}, "a", "b")));
  EXPECT_EQ(Code(token), "session-ended");  // cached, and
  EXPECT_EQ(verifier_->Known(token), nullptr);
  EXPECT_FALSE(verifier_->Holds(**verified));
  json fresh = test::Claims();  // one never seen, issued before
  fresh["jti"] = "other";
  EXPECT_EQ(Code(Sign(fresh, "at+jwt")), "session-ended");
  fresh["iat"] = kIat + 50;  // the issuer's clock may be ahead of ours
  EXPECT_EQ(Code(Sign(fresh, "at+jwt")), "session-ended");
  clock_.Advance(seconds(90));
  fresh["iat"] = kIat + 71;
  EXPECT_EQ(Code(Sign(fresh, "at+jwt")), "ok");
  fresh["sub"] = "bob", fresh["iat"] = kIat;
  EXPECT_EQ(Code(Sign(fresh, "at+jwt")), "ok");
}

TEST_F(AccessTest, IdTokensAreForTheirLoginOnly) {
  EXPECT_EQ(LoginCode(Login()), "ok");
  const auto who =
      Await(verifier_->AuthenticateLogin(Sign(Login(), "JWT"), {"console", "n1", 0}, {}));
  ASSERT_TRUE(who);
  EXPECT_EQ((*who)->principal.sid, "s1");
  EXPECT_EQ(LoginCode(With(Login(), "nonce", "n2")), "token-claims-invalid");
  json none = Login();
  none.erase("nonce");
  EXPECT_EQ(LoginCode(none), "token-claims-invalid");
  EXPECT_EQ(LoginCode(With(Login(), "aud", "sallyport")), "token-audience-wrong");
  EXPECT_EQ(LoginCode(With(Login(), "aud", {"console", "other"})), "token-audience-wrong");
  EXPECT_EQ(LoginCode(With(With(Login(), "aud", {"console", "other"}), "azp", "console")), "ok");
  EXPECT_EQ(LoginCode(With(Login(), "azp", "other")), "token-audience-wrong");
  EXPECT_EQ(LoginCode(Login(), {}, "at+jwt"), "token-type-wrong");
  EXPECT_EQ(LoginCode(With(Login(), "exp", kIat - 100)), "token-claims-invalid");
  EXPECT_EQ(LoginCode(With(Login(), "events", json::object())), "token-type-wrong");
  // A fresh login was asked for.
  EXPECT_EQ(LoginCode(Login(), {.authenticated_from = kIat * test::kSecond}), "ok");
  EXPECT_EQ(LoginCode(Login(), {.authenticated_from = (kIat + 100) * test::kSecond}),
            "token-claims-invalid");
  none = Login();
  none.erase("auth_time");
  EXPECT_EQ(LoginCode(none, {.authenticated_from = kIat * test::kSecond}), "token-claims-invalid");
  EXPECT_NE(Code(Sign(Login(), "JWT")), "ok");
  std::string forged = Sign(Login(), "JWT");
  forged.back() = forged.back() == 'A' ? 'Q' : 'A';
  EXPECT_FALSE(Await(verifier_->AuthenticateLogin(forged, {"console", "n1", 0}, {})));
}

TEST_F(AccessTest, LogoutTokensAreGoodOnce) {
  EXPECT_EQ(LogoutCode(Logout()), "ok");
  EXPECT_EQ(LogoutCode(Logout()), "token-claims-invalid");
  EXPECT_EQ(LogoutCode(With(Logout(), "jti", "j2")), "ok");
  json bad = With(Logout(), "jti", "j3");
  EXPECT_EQ(LogoutCode(With(bad, "nonce", "n")), "token-type-wrong");
  EXPECT_EQ(LogoutCode(With(bad, "aud", "sallyport")), "token-audience-wrong");
  EXPECT_EQ(LogoutCode(With(bad, "events", {{"other", json::object()}})), "token-type-wrong");
  EXPECT_EQ(LogoutCode(bad, "at+jwt"), "token-type-wrong");
  json nobody = bad;
  nobody.erase("sub");
  EXPECT_EQ(LogoutCode(nobody), "token-claims-invalid");
  nobody["sid"] = "s1";
  EXPECT_EQ(LogoutCode(nobody), "ok");
  bad.erase("jti");
  EXPECT_EQ(LogoutCode(bad), "token-claims-invalid");
  EXPECT_NE(Code(Sign(With(Logout(), "aud", "sallyport"), "logout+jwt")), "ok");
}

}  // namespace
}  // namespace sallyport::identity
