#include "pg/to_operation.h"

#include <gtest/gtest.h>

#include "json/document.h"
#include "pg/frame.h"
#include "pg/result.h"

namespace sallyport::pg {
namespace {

class ToOperationTest : public testing::Test {
 protected:
  ToOperationTest() {
    const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan},
                                                {.name = "sad", .kind = mask::DetectorKind::sad}};
    masker_ = mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
    at_ = {.connection = "db", .database = "orders", .masker = &masker_, .record_bytes = 512};
  }
  Judged Of(std::string text, bool classified = false) {
    auto analysis = std::make_shared<sql::Analysis>();
    analysis->route = sql::Route::as_is;
    analysis->classified = classified;
    analysis->text.worst = op::Effect::read;
    Judged judged;
    judged.text = std::move(text);
    judged.analysis = analysis;
    judged.statement = StatementOf(judged.analysis);
    return judged;
  }
  std::string Recorded(Judged judged, const BindParameters& parameters,
                       const std::vector<uint32_t>& types = {}) {
    const auto operation = ToOperation(at_, "bind", judged, &parameters, &types);
    EXPECT_TRUE(operation);
    EXPECT_TRUE(json::Document::Parse(operation->recorded_arguments.get()));
    return operation->recorded_arguments.get();
  }

  std::shared_ptr<const mask::Masker> masker_;
  AskedAt at_;
};

TEST_F(ToOperationTest, TextAndParametersAreRecordedMasked) {
  const Judged judged = Of("select 1 where a = $1 and b = '4111111111111111'");
  const BindParameters parameters{
      .formats = {}, .values = {"5500005555555559", {}, "x"}, .nulls = {false, true, false}};
  EXPECT_EQ(Recorded(judged, parameters),
            R"({"sql":"select 1 where a = $1 and b = '************1111'",)"
            R"("params":["************5559",null,"x"]})");
}

TEST_F(ToOperationTest, BinaryParametersAreReadByTheirTypes) {
  const std::string four("\0\0\x30\x39", 4), eight("\0\x0e\x9b\x0d\x5b\xb4\x71\xc7", 8);
  const BindParameters parameters{
      .formats = {1}, .values = {four, eight, eight}, .nulls = {false, false, false}};
  // The third has no type: its bytes could be a number, so only their count is kept.
  const std::string recorded = Recorded(Of("select $1"), parameters, {23, 20});
  EXPECT_NE(recorded.find(R"("12345")"), std::string::npos);
  EXPECT_NE(recorded.find(R"x("(8 bytes)")x"), std::string::npos);
  EXPECT_EQ(recorded.find("4111"), recorded.rfind("4111"));
}

TEST_F(ToOperationTest, AShortNumberBesideClassifiedColumnsMayBeACode) {
  const BindParameters parameters{.formats = {}, .values = {"123"}, .nulls = {false}};
  EXPECT_EQ(Recorded(Of("s", true), parameters), R"({"sql":"s","params":["***"]})");
  EXPECT_EQ(Recorded(Of("s"), parameters), R"({"sql":"s","params":["123"]})");
}

TEST_F(ToOperationTest, ALongTextIsMaskedBeforeItIsCut) {
  std::string text(at_.record_bytes - 8, ' ');
  text += "4111111111111111 and more";
  const std::string recorded = Recorded(Of(text), {});
  EXPECT_EQ(recorded.find("4111"), std::string::npos);
  EXPECT_NE(recorded.find(R"("cut":true)"), std::string::npos);
}

TEST_F(ToOperationTest, BytesThatAreNoUtf8StayAJsonText) {
  EXPECT_NE(Recorded(Of("select '\xff\xc0\xaf \xc3\xa4'"), {}).find("??? \xc3\xa4"),
            std::string::npos);
}

TEST_F(ToOperationTest, ATextThatIsKeptHidesNothingOfItsParametersNorOfOtherDetectors) {
  Judged judged = Of("select 4111111111111111 + $1");
  const BindParameters plain{.formats = {}, .values = {"12"}, .nulls = {false}};
  const BindParameters card{.formats = {}, .values = {"5555555555554444"}, .nulls = {false}};
  const auto none = mask::Masker::Make({}, Secret(std::string(32, 'k'))).value();
  at_.masker = &none;
  const auto recorded = [&](const BindParameters& parameters) {
    return ToOperation(at_, "bind", judged, &parameters, nullptr)->recorded_arguments.get();
  };
  EXPECT_EQ(recorded(plain), R"({"sql":"select 4111111111111111 + $1","params":["12"]})");
  EXPECT_EQ(recorded(plain), R"({"sql":"select 4111111111111111 + $1","params":["12"]})");
  at_.masker = &masker_;
  EXPECT_EQ(recorded(plain).find("4111111111111111"), std::string::npos);
  judged.text = "select $1";
  judged.sealed_by = nullptr;
  EXPECT_EQ(recorded(plain), R"({"sql":"select $1","params":["12"]})");
  EXPECT_EQ(recorded(card).find("5555555555554444"), std::string::npos);
  EXPECT_EQ(ToOperation(at_, "bind", judged, &card, nullptr)->masked.size(), 1u);
}

TEST_F(ToOperationTest, ARefusedRouteIsAnObjection) {
  auto analysis = std::make_shared<sql::Analysis>();
  analysis->route = sql::Route::refused;
  analysis->refusal = Error(Errc::sql_not_maskable, "why");
  Judged judged;
  judged.analysis = analysis;
  judged.statement = StatementOf(judged.analysis);
  const auto operation = ToOperation(at_, "query", judged, nullptr, nullptr);
  ASSERT_TRUE(operation && operation->objection);
  EXPECT_EQ(operation->objection->code, Errc::sql_not_maskable);
}

TEST(ResultRecordTest, RowsUpToTheLimit) {
  auto shape = std::make_shared<Shape>();
  shape->columns = {{.name = "a"}, {.name = "b"}};
  std::string rows;
  for (int i = 0; i < 100; ++i) {
    MessageWriter(rows).Begin('D').U16(2).U32(1).Bytes("x").U32(0xffffffff).End();
  }
  ResultRecord record;
  record.Begin(shape, 30);
  record.Rows(rows);
  EXPECT_FALSE(record.wants_rows());
  const std::string json(record.Finish("SELECT 100", 100, rows.size(), ""));
  EXPECT_TRUE(json::Document::Parse(json)) << json;
  EXPECT_NE(json.find(R"("columns":["a","b"],"data":[["x",null])"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("cut":true)"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::pg
