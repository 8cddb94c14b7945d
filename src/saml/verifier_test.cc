#include "saml/verifier.h"

#include <csignal>
#include <gtest/gtest.h>

namespace sallyport::saml {
namespace {

/// A worker that is a line of shell.
Verifier With(const std::string& script) {
  std::signal(SIGPIPE, SIG_IGN);
  return Verifier({.command = {"/bin/sh", "-c", script}, .limit = std::chrono::milliseconds(700)});
}

Expected Asked() {
  return {.issuer = "https://idp.test",
          .keys = {"k"},
          .audience = "a",
          .acs = "b",
          .request_id = "_c",
          .now = 1};
}

std::string Yes(const std::string& issuer) {
  return R"({"ok":true,"id":"_1","issuer":")" + issuer +
         R"(","name_id":"tess","name_id_format":"","name_id_qualifier":"","name_id_sp_qualifier":"","session_index":"","context":"",)"
         R"("authenticated_at":1,"session_until":0,"until":2,"attributes":{"g":["x","y"]}})";
}

TEST(Verifier, AnAnswerIsRead) {
  const auto found =
      With("cat >/dev/null; echo '" + Yes("https://idp.test") + "'").Check("x", Asked());
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->name_id.value, "tess");
  EXPECT_EQ(found->attributes.at("g"), (std::vector<std::string>{"x", "y"}));
}

TEST(Verifier, ARefusalKeepsItsCode) {
  const auto found =
      With(R"(cat >/dev/null; echo '{"ok":false,"reason":"token-expired","detail":"old"}')")
          .Check("x", Asked());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::token_expired);
}

TEST(Verifier, WhateverElseHappensNobodyIsSignedIn) {
  const std::string yes = "cat >/dev/null; echo '" + Yes("https://idp.test") + "'; ";
  for (const std::string& script :
       {std::string("exit 0"), std::string("kill -9 $$"), std::string("sleep 60"),
        std::string("cat >/dev/null; echo yes"),
        std::string("cat >/dev/null; echo '{\"ok\":true}'"),
        std::string("cat >/dev/null; echo '{\"ok\":1}'"),
        std::string("cat >/dev/null; echo '{\"ok\":false,\"reason\":\"so\"}'"),
        std::string("cat >/dev/null; yes | head -c 9000000"), yes + "exit 1", yes + "kill -9 $$",
        yes + "sleep 60", yes + "echo more",
        "cat >/dev/null; echo '" + Yes("https://other.test") + "'"}) {
    const auto found = With(script).Check(std::string(100'000, 'x'), Asked());
    ASSERT_FALSE(found) << script;
    EXPECT_EQ(found.error().code, Errc::internal) << script;
  }
  const auto none = Verifier({.command = {"/nowhere/worker"}}).Check("x", Asked());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::internal);
}

}  // namespace
}  // namespace sallyport::saml
