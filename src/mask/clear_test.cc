#include "mask/clear.h"

#include <gtest/gtest.h>

namespace sallyport::mask {
namespace {

constexpr const char* kOne = "4111111111111111";
constexpr const char* kTwo = "5555555555554444";
constexpr const char* kThree = "4929420573595709";

class ClearTest : public testing::Test {
 protected:
  ClearTest() {
    const std::vector<DetectorSpec> specs = {
        {.name = "pan"},
        {.name = "sad", .kind = DetectorKind::sad},
        {.name = "code", .kind = DetectorKind::regex, .pattern = "KX[0-9]{6}"}};
    masker_ = *Masker::Make(specs, Secret("0123456789abcdef"));
  }
  /// What the client sees, with at most `most` values; the masked form where nothing stays.
  std::string Shown(const std::string& json, uint64_t most,
                    std::vector<std::string> detectors = {"pan"}) {
    Clear clear(std::move(detectors), most, [this] { return ++asked_ <= open_for_; });
    std::string masked, shown;
    Tally tally;
    const auto changed = masker_->MaskJson(json, {}, masked, tally);
    EXPECT_TRUE(changed && *changed) << json;
    const auto kept = masker_->RevealJson(json, {}, clear, shown);
    EXPECT_TRUE(kept);
    values_ = clear.values(), places_ = clear.places();
    if (!*kept) EXPECT_EQ(shown, "");
    return *kept ? shown : masked;
  }

  std::shared_ptr<const Masker> masker_;
  int asked_ = 0, open_for_ = 1000;
  uint64_t values_ = 0, places_ = 0;
};

std::string Text(const std::string& text) { return R"({"text":")" + text + R"("})"; }

TEST_F(ClearTest, AsManyAsAllowedThenMasked) {
  const std::string all = std::string(kOne) + " and " + kTwo + " and " + kThree;
  EXPECT_EQ(Shown(Text(all), 2),
            Text(std::string(kOne) + " and " + kTwo + " and ************5709"));
  EXPECT_EQ(values_, 2u);
  EXPECT_EQ(places_, 2u);
  EXPECT_EQ(Shown(Text(all), 3), Text(all));
  EXPECT_EQ(Shown(Text(all), 0),
            Text("************1111 and ************4444 and ************5709"));
  EXPECT_EQ(values_, 0u);
}

TEST_F(ClearTest, OneValueCountsOnceHoweverOftenItStands) {
  const std::string json = std::string(R"({"text":"4111 1111 1111 1111","in":"{\"card\":\")") +
                           kOne + R"(\"}","n":)" + kOne + R"(,"other":")" + kTwo + R"("})";
  EXPECT_EQ(Shown(json, 1), std::string(R"({"text":"4111 1111 1111 1111","in":"{\"card\":\")") +
                                kOne + R"(\"}","n":)" + kOne + R"(,"other":"************4444"})");
  EXPECT_EQ(values_, 1u);
  EXPECT_EQ(places_, 3u);
}

TEST_F(ClearTest, OnlyTheDetectorsThatWereNamed) {
  const std::string json = Text(std::string(kOne) + " KX123456");
  EXPECT_EQ(Shown(json, 5), Text(std::string(kOne) + " ********"));
  EXPECT_EQ(Shown(json, 5, {"code"}), Text("************1111 KX123456"));
  EXPECT_EQ(Shown(json, 5, {"sad"}), Text("************1111 ********"));
}

TEST_F(ClearTest, NothingThatTouchesAuthenticationData) {
  for (const char* text : {";4539578763621486=29121010000000000000?",
                           "%B4539578763621486^DOE/JANE^29121010000000000000?"}) {
    const std::string shown = Shown(Text(text), 5, {"pan", "sad"});
    EXPECT_EQ(shown.find("4539578763621486"), std::string::npos) << shown;
    EXPECT_EQ(shown.find("29121010"), std::string::npos) << shown;
    EXPECT_EQ(values_, 0u);
  }
  // Beside it the number stays and the code goes.
  const std::string shown = Shown(R"({"card":"4111111111111111","cvv":"737"})", 5, {"pan", "sad"});
  EXPECT_EQ(shown.find("737"), std::string::npos) << shown;
}

TEST_F(ClearTest, NothingThatIsHidden) {
  for (const char* json : {R"({"blob":"Y2FyZCA0MTExMTExMTExMTExMTExIGlz"})",       // base64
                           R"({"a":["4111","1111","1111","1111"]})",               // spread
                           R"({"text":"card ４１１１１１１１１１１１１１１１"})",  // other digits
                           R"({"4111111111111111":1})"}) {                         // a name
    Shown(json, 5);
    EXPECT_EQ(values_, 0u) << json;
  }
}

TEST_F(ClearTest, NothingAfterTheTime) {
  const std::string all = std::string(kOne) + " and " + kTwo;
  open_for_ = 0;
  EXPECT_EQ(Shown(Text(all), 5), Text("************1111 and ************4444"));
  // In the middle: what could not be confirmed to the end does not stay.
  open_for_ = 1, asked_ = 0;
  EXPECT_EQ(Shown(Text(all), 5).find(kTwo), std::string::npos);
}

TEST_F(ClearTest, ManyNumbersAreNoWork) {
  std::string json = "[";
  for (int i = 0; i < 20'000; ++i) json += std::string(i > 0 ? "," : "") + "\"" + kOne + "\",\"x\"";
  json += ']';
  open_for_ = 100'000;
  EXPECT_TRUE(Shown(json, 1) == json);
  EXPECT_EQ(places_, 20'000u);
}

}  // namespace
}  // namespace sallyport::mask
