#include "pg/own_statement.h"

#include <gtest/gtest.h>

namespace sallyport::pg {
namespace {

using Verb = OwnStatement::Verb;

TEST(OwnStatement, IsRead) {
  const auto set = ReadOwnStatement("  SET sallyport.Unmask = 'pan, iban' ; ");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->verb, Verb::set);
  EXPECT_EQ(set->value, "pan, iban");
  EXPECT_EQ(ReadOwnStatement("set session sallyport.unmask to PAN")->value, "pan");
  EXPECT_EQ(ReadOwnStatement("SET sallyport.unmask_reason='it''s 7'")->value, "it's 7");
  EXPECT_TRUE(ReadOwnStatement("SET sallyport.unmask_reason='x'")->reason);
  EXPECT_EQ(ReadOwnStatement("RESET sallyport.unmask")->verb, Verb::reset);
  EXPECT_EQ(ReadOwnStatement("set sallyport.unmask to default")->verb, Verb::reset);
  EXPECT_EQ(ReadOwnStatement("show\nsallyport.unmask_reason")->tag(), "SHOW");
}

TEST(OwnStatement, NothingElseIs) {
  for (const char* text :
       {"", ";", "SELECT 1", "SET search_path = x", "SET LOCAL sallyport.unmask = 'pan'",
        "SET sallyport.unmask = 'pan'; SELECT 1", "SET sallyport.unmask = 'pan",
        "SET sallyport.unmask 'pan'", "SET sallyport.unmask =", "SET sallyport.unmask = 'pan' x",
        "SET sallyport.unmask = 'pan', 'iban'", "SET sallyport.other = 'x'",
        "/* x */ SET sallyport.unmask = 'pan'", "SET sallyport.unmaskx = 'pan'",
        "SETsallyport.unmask='pan'", "SET sallyport.unmask = E'pan'",
        "SHOW sallyport.unmask; SHOW all"}) {
    EXPECT_FALSE(ReadOwnStatement(text)) << text;
  }
}

TEST(UnmaskSetting, HoldsUntilReset) {
  const std::vector<mask::DetectorSpec> specs = {{.name = "pan"}};
  const auto masker = *mask::Masker::Make(specs, Secret("0123456789abcdef"));
  UnmaskSetting setting;
  const auto put = [&](const char* text) {
    const auto own = ReadOwnStatement(text);
    EXPECT_TRUE(own) << text;
    const bool fits = setting.Check(*own).has_value();
    if (fits) setting.Apply(*own, *masker);
    return fits;
  };
  EXPECT_EQ(setting.ask(), nullptr);
  EXPECT_TRUE(put("SET sallyport.unmask_reason = 'it''s 4111111111111111'"));
  EXPECT_EQ(setting.ask(), nullptr);
  EXPECT_TRUE(put("SET sallyport.unmask = 'pan,iban,pan'"));
  EXPECT_EQ(setting.ask()->detectors, (std::vector<std::string>{"iban", "pan"}));
  EXPECT_EQ(setting.ask()->reason.get(), "it's ************1111");
  EXPECT_EQ(setting.Stand(*ReadOwnStatement("SHOW sallyport.unmask")),
            R"(SELECT 'iban,pan'::pg_catalog.text AS "sallyport.unmask")");
  EXPECT_EQ(setting.Stand(*ReadOwnStatement("SHOW sallyport.unmask_reason")),
            R"(SELECT 'it''s ************1111'::pg_catalog.text AS "sallyport.unmask_reason")");
  for (const char* text : {"SET sallyport.unmask = 'a,,b'", "SET sallyport.unmask = 'a;b'",
                           "SET sallyport.unmask = 'a''b'"}) {
    EXPECT_FALSE(put(text)) << text;
  }
  EXPECT_TRUE(put("RESET sallyport.unmask_reason"));
  EXPECT_EQ(setting.ask()->reason.get(), "");
  EXPECT_TRUE(put("SET sallyport.unmask = ''"));
  EXPECT_EQ(setting.ask(), nullptr);
}

}  // namespace
}  // namespace sallyport::pg
