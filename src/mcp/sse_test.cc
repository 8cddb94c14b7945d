#include "mcp/sse.h"

#include <gtest/gtest.h>

namespace sallyport::mcp {
namespace {

std::string Show(const std::vector<SseEvent>& events) {
  std::string s;
  for (const auto& e : events) s += "[" + e.type + "|" + e.id + "|" + e.data + "]";
  return s;
}

std::string ReadCut(std::string_view text, size_t piece, size_t first) {
  SseParser parser(1 << 20);
  std::vector<SseEvent> events;
  size_t at = std::min(first, text.size());
  EXPECT_TRUE(parser.Feed(text.substr(0, at), events));
  for (; at < text.size(); at += piece) EXPECT_TRUE(parser.Feed(text.substr(at, piece), events));
  return Show(events) + "/" + parser.last_id() + "/" +
         (parser.retry() ? std::to_string(*parser.retry()) : "-");
}

/// The same events whatever way the bytes are cut.
void Reads(std::string_view text, std::string_view expected) {
  EXPECT_EQ(ReadCut(text, text.size() + 1, 0), expected) << "whole";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(ReadCut(text, text.size() + 1, cut), expected) << "cut at " << cut;
  }
  for (size_t piece = 1; piece < 5; ++piece) {
    EXPECT_EQ(ReadCut(text, piece, 0), expected) << "pieces of " << piece;
  }
}

TEST(SseParser, LineEndings) {
  Reads("data: a\n\ndata: b\n\n", "[||a][||b]//-");
  Reads("data: a\r\n\r\ndata: b\r\n\r\n", "[||a][||b]//-");
  Reads("data: a\r\rdata: b\r\r", "[||a][||b]//-");
  Reads("data: a\r\n\ndata: b\n\r\n", "[||a][||b]//-");
}

TEST(SseParser, CrLfIsOneLineEnd) {
  Reads("data: a\r\ndata: b\r\n\r\n", "[||a\nb]//-");
  Reads("id: 1\r\ndata: a\r\r\ndata: b\r\n\r\n", "[|1|a][|1|b]/1/-");
}

TEST(SseParser, FieldsAndOptionalSpace) {
  Reads("id: 7\nevent:ping\ndata:x\n\n", "[ping|7|x]/7/-");
  Reads("data:  two\n\n", "[|| two]//-");
  Reads("data\n\n", "[||]//-");
  Reads("data:\n\n", "[||]//-");
  Reads("unknown: 1\nDATA: no\ndata: yes\n\n", "[||yes]//-");
}

TEST(SseParser, MultiLineData) { Reads("data: {\"a\":\ndata: 1}\n\n", "[||{\"a\":\n1}]//-"); }

TEST(SseParser, NothingWithoutData) {
  Reads("event: x\n\ndata: y\n\n", "[||y]//-");
  Reads(": comment\n\n:\n\n", "//-");
  Reads("\n\n\n", "//-");
}

TEST(SseParser, UnfinishedIsDropped) {
  Reads("data: a\n\ndata: b\n", "[||a]//-");
  Reads("data: a\n\nid: 9\ndata: b", "[||a]//-");
}

TEST(SseParser, IdStaysUntilChangedAndIsSetByEmptyEvents) {
  Reads("id: 1\ndata: a\n\ndata: b\n\nid: 2\n\nid\ndata: c\n\n", "[|1|a][|1|b][||c]//-");
  Reads("id: prime\ndata: \n\n", "[|prime|]/prime/-");
  Reads("id: 3\n\n", "/3/-");
  Reads(std::string_view("id: a\0b\ndata: x\n\n", 17), "[||x]//-");
}

TEST(SseParser, RetryTakesDigitsOnly) {
  Reads("retry: 1500\n\n", "//1500");
  Reads("retry: 1500ms\nretry: -1\nretry:\nretry: 99999999999\n\n", "//-");
}

TEST(SseParser, ByteOrderMarkAtTheStartOnly) {
  Reads(
      "\xef\xbb\xbf"
      "data: a\n\n",
      "[||a]//-");
  Reads(
      "\xef\xbb"
      "data: a\n\ndata: b\n\n",
      "[||b]//-");
  Reads(
      "data: a\n\n\xef\xbb\xbf"
      "data: b\n\n",
      "[||a]//-");
}

TEST(SseParser, MultiByteTextAcrossCuts) {
  Reads("data: \xe4\xb8\x96\xe7\x95\x8c\n\n", "[||\xe4\xb8\x96\xe7\x95\x8c]//-");
}

TEST(SseParser, EventBeyondTheLimitIsRefused) {
  const auto refused = [](std::string_view text, size_t piece) {
    SseParser parser(64);
    std::vector<SseEvent> events;
    for (size_t at = 0; at < text.size(); at += piece) {
      if (auto r = parser.Feed(text.substr(at, piece), events); !r) {
        return r.error().code == Errc::upstream_too_large;
      }
    }
    return false;
  };
  const std::string line = "data: " + std::string(100, 'x');
  std::string many;
  for (int i = 0; i < 20; ++i) many += "data: 12345678\n";
  for (size_t piece : {1, 7, 1000}) {
    EXPECT_TRUE(refused(line, piece)) << "endless line";
    EXPECT_TRUE(refused(line + "\n\n", piece)) << "long line";
    EXPECT_TRUE(refused(many, piece)) << "endless event";
  }
  // Many events under the limit are fine.
  SseParser parser(64);
  std::vector<SseEvent> events;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(parser.Feed("data: 1234567890\n\n", events));
  EXPECT_EQ(events.size(), 100u);
}

std::string RoundTrip(std::string_view data, std::string_view id, std::string_view type) {
  std::string wire;
  AppendEvent(wire, data, id, type);
  SseParser parser(1 << 20);
  std::vector<SseEvent> events;
  EXPECT_TRUE(parser.Feed(wire, events));
  return Show(events);
}

TEST(SseWriter, RoundTrips) {
  EXPECT_EQ(RoundTrip("{\"a\":1}", "s_1", ""), "[|s_1|{\"a\":1}]");
  EXPECT_EQ(RoundTrip("", "", "ping"), "[ping||]");
  EXPECT_EQ(RoundTrip(" lead", "", ""), "[|| lead]");
}

TEST(SseWriter, NoTextEndsTheEventOrStartsAField) {
  EXPECT_EQ(RoundTrip("a\nid: 9\n\ndata: b", "", ""), "[||a\nid: 9\n\ndata: b]");
  EXPECT_EQ(RoundTrip("a\r\nb\rc\n", "", ""), "[||a\nb\nc\n]");
  EXPECT_EQ(RoundTrip("x", "1\ndata: evil", "t\r\rdata: evil"), "[||x]");
  EXPECT_EQ(RoundTrip("x", std::string_view("1\0", 2), ""), "[||x]");
}

TEST(SseWriter, RetryAndKeepAliveDispatchNothing) {
  std::string wire;
  AppendRetry(wire, 2500);
  AppendKeepAlive(wire);
  SseParser parser(100);
  std::vector<SseEvent> events;
  ASSERT_TRUE(parser.Feed(wire, events));
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(parser.retry(), 2500u);
}

}  // namespace
}  // namespace sallyport::mcp
