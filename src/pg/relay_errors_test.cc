#include "pg/relay_errors.h"

#include <gtest/gtest.h>

#include "pg/frame.h"
#include "pg/to_wire.h"

namespace sallyport::pg {
namespace {

std::string Body(const std::vector<std::pair<char, std::string>>& fields) {
  std::string out;
  for (const auto& [code, value] : fields) out += code + value + '\0';
  return out + '\0';
}

std::string FieldOf(std::string_view message, char code) {
  BodyReader r(message.substr(5));
  for (char at; (at = static_cast<char>(r.U8())) != 0 && !r.failed();) {
    const std::string_view value = r.CString();
    if (at == code) return std::string(value);
  }
  return {};
}

std::shared_ptr<const mask::Masker> TheMasker() {
  const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan}};
  return mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
}

const std::vector<std::pair<char, std::string>> kDuplicate = {
    {'S', "ERROR"},
    {'V', "ERROR"},
    {'C', "23505"},
    {'M', "duplicate key value violates unique constraint \"payments_card_key\""},
    {'D', "Key (card)=(4111111111111111) already exists."},
    {'W', "SQL statement \"insert … '41111'\""},
    {'n', "payments_card_key"},
    {'P', "15"}};

TEST(RelayErrorsTest, NothingOfAClassifiedStatementIsQuoted) {
  const auto got = FilterError('E', Body(kDuplicate), *TheMasker(), true, false);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->sqlstate, "23505");
  EXPECT_EQ(FieldOf(got->message, 'C'), "23505");
  EXPECT_EQ(FieldOf(got->message, 'n'), "payments_card_key");
  EXPECT_EQ(FieldOf(got->message, 'M'), "duplicate key value violates a unique constraint");
  EXPECT_EQ(FieldOf(got->message, 'D'), "");
  EXPECT_EQ(FieldOf(got->message, 'W'), "");
  EXPECT_EQ(FieldOf(got->message, 'P'), "");
  EXPECT_EQ(got->message.find("4111"), std::string::npos);
}

TEST(RelayErrorsTest, OtherErrorsAreScanned) {
  const auto got = FilterError('E', Body(kDuplicate), *TheMasker(), false, false);
  ASSERT_TRUE(got);
  EXPECT_EQ(FieldOf(got->message, 'D'), "Key (card)=(************1111) already exists.");
  EXPECT_EQ(FieldOf(got->message, 'M'), kDuplicate[3].second);
  EXPECT_EQ(FieldOf(got->message, 'P'), "15");
  EXPECT_EQ(PeekHead(got->message)->total(), got->message.size());
}

TEST(RelayErrorsTest, APositionInARewrittenTextIsNotTheClients) {
  const auto got = FilterError('E', Body(kDuplicate), *TheMasker(), false, true);
  ASSERT_TRUE(got);
  EXPECT_EQ(FieldOf(got->message, 'P'), "");
}

TEST(RelayErrorsTest, FatalIsSeenInEveryLanguage) {
  const auto got =
      FilterError('E', Body({{'S', "FATALA"}, {'V', "FATAL"}, {'C', "57P01"}, {'M', "x"}}),
                  *TheMasker(), false, false);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->fatal);
}

TEST(RelayErrorsTest, WhatIsNoErrorMessageIsRefused) {
  EXPECT_FALSE(FilterError('E', "Mtext without end", *TheMasker(), false, false));
  EXPECT_FALSE(FilterError('E', Body(kDuplicate) + "more", *TheMasker(), false, false));
}

TEST(ToWireTest, ARefusalSaysWhatWhyAndWhatToDo) {
  op::Refusal refusal;
  refusal.error = Error(Errc::rule_deny, "denied by rule no-export");
  refusal.decision.why = "denied by rule no-export";
  refusal.decision.rules = {"no-export"};
  refusal.decision.message = "Ask payments-security.";
  refusal.decision_id = "d_1";
  std::string out;
  AppendError(out, ToWire(refusal));
  EXPECT_EQ(FieldOf(out, 'C'), "42501");
  EXPECT_EQ(FieldOf(out, 'M'), "refused: denied by rule no-export");
  EXPECT_EQ(FieldOf(out, 'D'), "reason: rule-deny; rule: no-export; decision: d_1");
  EXPECT_EQ(FieldOf(out, 'H'), "Ask payments-security.");
}

}  // namespace
}  // namespace sallyport::pg
