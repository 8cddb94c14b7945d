#include <cstdlib>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <vector>

#include "base/secret.h"
#include <gtest/gtest.h>
#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::obs {
namespace {

static_assert(!std::is_constructible_v<LogValue, const Secret&>, "a secret must not be loggable");
static_assert(!std::is_constructible_v<LogValue, int*>, "a pointer must not become a truth value");

/// The log into a pipe, restored afterwards.
class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::pipe2(pipe_, O_NONBLOCK | O_CLOEXEC), 0);
    SetLogDescriptor(pipe_[1]);
    ASSERT_TRUE(SetLevel("info"));
  }
  void TearDown() override {
    SetLineFilter({});
    SetLogDescriptor(2);
    SetLevel("info");
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  std::string Written() {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::read(pipe_[0], buffer, sizeof buffer)) > 0;)
      all.append(buffer, size_t(n));
    return all;
  }
  int pipe_[2];
};

TEST_F(LogTest, OneLineOfJsonPerCall) {
  Log(Level::warn, "net.refused",
      {{"status", 400}, {"detail", "a\nb\"c\\\x01"}, {"ok", false}, {"size", uint64_t(1) << 63}});
  const std::string text = Written();
  ASSERT_TRUE(text.ends_with("}\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["level"], "warn");
  EXPECT_EQ(line["event"], "net.refused");
  EXPECT_EQ(line["status"], 400);
  EXPECT_EQ(line["detail"], "a\nb\"c\\\x01");
  EXPECT_EQ(line["ok"], false);
  EXPECT_EQ(line["size"], uint64_t(1) << 63);
  EXPECT_TRUE(std::regex_match(line["ts"].get<std::string>(),
                               std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)")));
}

TEST_F(LogTest, BytesThatAreNotTextStayParsable) {
  Log(Level::info, "net.odd",
      {{"a", "x\xff\xc0\xaf\xed\xa0\x80y"}, {"b", "\xc3\xa9\xf0\x9f\x98\x80"}});
  const auto line = nlohmann::json::parse(Written());
  EXPECT_TRUE(line["a"].get<std::string>().starts_with("x\xef\xbf\xbd"));
  EXPECT_EQ(line["b"], "\xc3\xa9\xf0\x9f\x98\x80");
}

TEST_F(LogTest, LevelsPerComponent) {
  ASSERT_TRUE(SetLevel("warn,mcp=debug"));
  Log(Level::info, "net.hidden");
  Log(Level::debug, "mcp.shown");
  Log(Level::error, "net.shown");
  const std::string text = Written();
  EXPECT_EQ(text.find("hidden"), text.npos);
  EXPECT_NE(text.find("mcp.shown"), text.npos);
  EXPECT_NE(text.find("net.shown"), text.npos);
  EXPECT_FALSE(SetLevel("loud"));
  EXPECT_FALSE(SetLevel("info,warn"));
  EXPECT_FALSE(SetLevel("=info"));
  EXPECT_TRUE(LogEnabled(Level::debug, "mcp.x"));
}

TEST_F(LogTest, FilterSeesEachLineAndAThrowingOneLosesIt) {
  SetLineFilter([](std::string& line) {
    if (line.find("boom") != line.npos) throw std::runtime_error("no");
    for (size_t at; (at = line.find("4111")) != line.npos;) line.replace(at, 4, "****");
  });
  const uint64_t before = LinesDropped();
  Log(Level::info, "net.a", {{"v", "4111"}});
  Log(Level::info, "net.boom");
  const std::string text = Written();
  EXPECT_NE(text.find("****"), text.npos);
  EXPECT_EQ(text.find("4111"), text.npos);
  EXPECT_EQ(text.find("boom"), text.npos);
  EXPECT_EQ(LinesDropped(), before + 1);
}

TEST_F(LogTest, LongLineIsCutAndFullPipeDrops) {
  Log(Level::info, "net.long", {{"a", 1}, {"b", std::string(20'000, 'x')}});
  const auto line = nlohmann::json::parse(Written());
  EXPECT_EQ(line["a"], 1);
  EXPECT_EQ(line["cut"], true);
  const uint64_t before = LinesDropped();
  for (int i = 0; i < 20; ++i) Log(Level::info, "net.much", {{"b", std::string(10'000, 'x')}});
  EXPECT_GT(LinesDropped(), before);
}

TEST_F(LogTest, LinesOfManyThreadsDoNotMix) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 50; ++i) Log(Level::info, "net.t", {{"v", "0123456789"}});
    });
  threads.clear();
  const std::string text = Written();
  size_t lines = 0;
  for (size_t at = 0; at < text.size(); ++lines) {
    const size_t end = text.find('\n', at);
    EXPECT_NO_THROW((void)nlohmann::json::parse(text.substr(at, end - at)));
    at = end + 1;
  }
  EXPECT_EQ(lines, 200u);
}

TEST(Metrics, ReadingsByLabel) {
  Registry registry;
  registry.ObserveBy("sallyport_x_total", "Read.", "connection", [] {
    return std::map<std::string, double>{{"a", 1}, {"b", 2}};
  });
  EXPECT_EQ(registry.Exposition(),
            "# HELP sallyport_x_total Read.\n# TYPE sallyport_x_total counter\n"
            "sallyport_x_total{connection=\"a\"} 1\nsallyport_x_total{connection=\"b\"} 2\n");
}

TEST(MetricsTest, ExpositionFormat) {
  Registry registry;
  registry.counters("sallyport_b_total", "Calls \\ made\nso far.", {"server", "decision"})
      .With({"git\"hub\\", "de\nny"})
      .Add(3);
  registry.gauges("sallyport_a", "Open.").With().Set(2.5);
  auto& h = registry.histograms("sallyport_c_seconds", "Time.", {}, {0.1, 1}).With();
  h.Observe(0.1);  // a bound belongs to its own bucket: le
  h.Observe(0.5);
  h.Observe(9);
  registry.Observe("sallyport_d", "Read.", [] { return 7.0; });
  EXPECT_EQ(registry.Exposition(),
            "# HELP sallyport_a Open.\n# TYPE sallyport_a gauge\nsallyport_a 2.5\n"
            "# HELP sallyport_b_total Calls \\\\ made\\nso far.\n# TYPE sallyport_b_total counter\n"
            "sallyport_b_total{server=\"git\\\"hub\\\\\",decision=\"de\\nny\"} 3\n"
            "# HELP sallyport_c_seconds Time.\n# TYPE sallyport_c_seconds histogram\n"
            "sallyport_c_seconds_bucket{le=\"0.1\"} 1\nsallyport_c_seconds_bucket{le=\"1\"} 2\n"
            "sallyport_c_seconds_bucket{le=\"+Inf\"} 3\nsallyport_c_seconds_sum "
            "9.6\nsallyport_c_seconds_count 3\n"
            "# HELP sallyport_d Read.\n# TYPE sallyport_d gauge\nsallyport_d 7\n");
}

TEST(MetricsTest, SameFamilyAgainAndMisuseAborts) {
  Registry registry;
  auto& a = registry.counters("sallyport_x_total", "X.", {"k"});
  EXPECT_EQ(&a, &registry.counters("sallyport_x_total", "X.", {"k"}));
  EXPECT_EQ(&a.With({"v"}), &a.With({"v"}));
  EXPECT_DEATH(registry.counters("sallyport_x_total", "X.", {"other"}), "other labels");
  EXPECT_DEATH(registry.gauges("sallyport_x_total", "X.", {"k"}), "another kind");
  EXPECT_DEATH(registry.counters("sallyport-x", "X."), "not a name");
  EXPECT_DEATH(a.With({}), "number of label values");
}

TEST(MetricsTest, CardinalityIsCapped) {
  Registry registry;
  auto& family = registry.counters("sallyport_many_total", "M.", {"k"});
  for (size_t i = 0; i < Family<Counter>::kSeriesLimit + 50; ++i)
    family.With({std::to_string(i)}).Add();
  EXPECT_EQ(family.With({"_other"}).value(), 50u);
  EXPECT_EQ(family.With({"0"}).value(), 1u);
}

TEST(MetricsTest, CountsOfManyThreadsAddUp) {
  Counter counter;
  Histogram histogram({1});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 10'000; ++i) counter.Add(), histogram.Observe(0.5);
      });
  }
  EXPECT_EQ(counter.value(), 40'000u);
  EXPECT_EQ(histogram.count(), 40'000u);
  EXPECT_EQ(histogram.sum(), 20'000.0);
}

}  // namespace
}  // namespace sallyport::obs
