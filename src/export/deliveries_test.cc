#include "export/deliveries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "export/metrics_push.h"
#include "json/document.h"
#include "ledger/scratch_for_tests.h"

namespace sallyport::exporting {
namespace {

using testing::HasSubstr;

Batch BatchOf(uint64_t from, uint64_t to) {
  Batch batch{.origin = "gate.example.com/test", .items = {}};
  for (uint64_t i = from; i < to; ++i) {
    batch.items.push_back({.index = i,
                           .at = 1'795'200'001'000'000'000,
                           .severity = Severity::medium,
                           .event = "call.denied",
                           .leaf = "bGVhZg==",
                           .trace = "0123456789abcdef0123456789abcdef",
                           .text = "{\"n\":" + std::to_string(i) + "}"});
  }
  return batch;
}

/// Answers as the test says; remembers what was asked.
struct FakeServer {
  std::vector<FetchRequest> asked;
  std::function<Result<FetchResponse>(const FetchRequest&)> answer;

  Receiver receiver() {
    return {.fetch = [this](const FetchRequest& request) -> Result<FetchResponse> {
              asked.push_back(request);
              return answer(request);
            },
            .reach = {},
            .stop = {}};
  }
  static FetchResponse Say(int status, std::string body) {
    return {.status = status, .headers = {}, .body = std::move(body)};
  }
};

Secret Token() { return Secret("t0ken"); }
Result<Secret> ReadToken() { return Token(); }

struct Fixed : Clock {
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
  Nanos WallNow() const override { return 1'795'200'005'000'000'000; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return now; }
};

std::unique_ptr<Delivery> Splunk(FakeServer& server, const Clock& clock, bool acknowledged = true) {
  SplunkTarget target{.url = "https://splunk.example", .token = {}, .acknowledged = acknowledged};
  target.ack_timeout = std::chrono::seconds(60);
  return *MakeSplunkDelivery(target, true, server.receiver(), ReadToken, clock);
}

TEST(Splunk, OnlyAnAcknowledgementConfirms) {
  FakeServer server;
  Fixed clock;
  bool indexed = false;
  server.answer = [&](const FetchRequest& request) {
    if (request.url.ends_with("/ack"))
      return FakeServer::Say(200, indexed ? R"({"acks":{"7":true}})" : R"({"acks":{"7":false}})");
    return FakeServer::Say(200, R"({"text":"Success","code":0,"ackId":7})");
  };
  auto splunk = Splunk(server, clock);
  EXPECT_TRUE(splunk->Send(BatchOf(0, 3))->empty());
  EXPECT_EQ(*splunk->Confirmed(), 0u);
  indexed = true;
  clock.now += std::chrono::seconds(1);
  EXPECT_EQ(*splunk->Confirmed(), 3u);
  EXPECT_EQ(server.asked[0].url, "https://splunk.example/services/collector/event");
  EXPECT_THAT(server.asked[0].headers,
              testing::Contains(testing::Pair("Authorization", "Splunk t0ken")));
  EXPECT_THAT(server.asked[0].body, HasSubstr(R"("time":1795200001.000000,)"));
  EXPECT_THAT(server.asked[0].body, HasSubstr(R"("event":{"n":2})"));
  EXPECT_THAT(server.asked[0].body, HasSubstr(R"("uid":"gate.example.com/test:2")"));
  EXPECT_EQ(server.asked[1].body, R"({"acks":[7]})");
}

TEST(Splunk, WhatIsNeverAcknowledgedIsSentAgainOnAnotherChannel) {
  FakeServer server;
  Fixed clock;
  server.answer = [&](const FetchRequest& request) {
    if (request.url.ends_with("/ack")) return FakeServer::Say(200, R"({"acks":{"0":false}})");
    return FakeServer::Say(200, R"({"text":"Success","code":0,"ackId":0})");
  };
  auto splunk = Splunk(server, clock);
  ASSERT_TRUE(splunk->Send(BatchOf(0, 1)).has_value());
  clock.now += std::chrono::seconds(61);
  EXPECT_EQ(splunk->Confirmed().error().code, Errc::upstream_timeout);
  EXPECT_EQ(splunk->Restart(0), 0u);
  ASSERT_TRUE(splunk->Send(BatchOf(0, 1)).has_value());
  const auto channel = [](const FetchRequest& r) { return r.headers[2].second; };
  EXPECT_NE(channel(server.asked.front()), channel(server.asked.back()));
  EXPECT_EQ(channel(server.asked.front()).size(), 36u);
}

TEST(Splunk, AnAckIdThatComesAgainIsThatOfAReceiverThatHasForgotten) {
  FakeServer server;
  Fixed clock;
  server.answer = [&](const FetchRequest&) {
    return FakeServer::Say(200, R"({"text":"Success","code":0,"ackId":0})");
  };
  auto splunk = Splunk(server, clock);
  ASSERT_TRUE(splunk->Send(BatchOf(0, 1)).has_value());
  EXPECT_FALSE(splunk->Send(BatchOf(1, 2)).has_value());
  EXPECT_EQ(splunk->Restart(0), 0u);
  EXPECT_TRUE(splunk->Send(BatchOf(0, 1)).has_value());
}

TEST(Splunk, A200WithoutAnAckIdIsNotBelieved) {
  FakeServer server;
  Fixed clock;
  server.answer = [](const FetchRequest&) {
    return FakeServer::Say(200, R"({"text":"Success","code":0})");
  };
  const auto sent = Splunk(server, clock)->Send(BatchOf(0, 1));
  ASSERT_FALSE(sent.has_value());
  EXPECT_THAT(sent.error().detail, HasSubstr("indexer acknowledgement"));
  auto trusting = Splunk(server, clock, false);
  ASSERT_TRUE(trusting->Send(BatchOf(0, 1)).has_value());
  EXPECT_EQ(*trusting->Confirmed(), 1u);
}

TEST(Splunk, AnswersThatAreNoneConfirmNothing) {
  FakeServer server;
  Fixed clock;
  for (const auto& [status, body] :
       {std::pair(200, "<html>"), std::pair(200, "{}"), std::pair(200, R"({"code":9})"),
        std::pair(400, R"({"code":7})"), std::pair(400, "bad"), std::pair(503, R"({"code":9})"),
        std::pair(403, R"({"code":4})"), std::pair(200, R"({"code":"0"})"), std::pair(302, "")}) {
    server.answer = [&](const FetchRequest&) { return FakeServer::Say(status, body); };
    EXPECT_FALSE(Splunk(server, clock)->Send(BatchOf(0, 2)).has_value()) << status << body;
  }
}

TEST(Splunk, AnEventThatItCannotReadIsFoundByHalves) {
  FakeServer server;
  Fixed clock;
  server.answer = [ack = 0](const FetchRequest& r) mutable {
    if (r.body.contains("{\"n\":5}")) return FakeServer::Say(400, R"({"code":6})");
    return FakeServer::Say(200, R"({"code":0,"ackId":)" + std::to_string(++ack) + "}");
  };
  const auto refused = Splunk(server, clock)->Send(BatchOf(0, 8));
  ASSERT_TRUE(refused.has_value());
  ASSERT_EQ(refused->size(), 1u);
  EXPECT_EQ(refused->front().index, 5u);
  EXPECT_EQ(refused->front().why, "code 6");
}

std::unique_ptr<Delivery> Otlp(FakeServer& server,
                               OtlpTarget::Signal signal = OtlpTarget::Signal::logs) {
  static const Fixed clock;
  OtlpTarget target;
  target.url = "https://otel.example:4318";
  target.signal = signal;
  return *MakeOtlpDelivery(target, {{"api-key", ReadToken}}, "1.2.3", server.receiver(), clock);
}

TEST(Otlp, WritesWhatTheProtocolSays) {
  FakeServer server;
  server.answer = [](const FetchRequest&) { return FakeServer::Say(200, "{}"); };
  ASSERT_TRUE(Otlp(server)->Send(BatchOf(4, 6)).has_value());
  EXPECT_EQ(server.asked[0].url, "https://otel.example:4318/v1/logs");
  EXPECT_THAT(server.asked[0].headers, testing::Contains(testing::Pair("api-key", "t0ken")));
  const auto document = *json::Document::Parse(server.asked[0].body);
  const json::Value logs = document.root()["resourceLogs"].at(0)["scopeLogs"].at(0)["logRecords"];
  EXPECT_EQ(logs.size(), 2u);
  const json::Value record = logs.at(0);
  EXPECT_EQ(record["timeUnixNano"].string(), "1795200001000000000");
  EXPECT_EQ(record["severityNumber"].integer(), 13);
  EXPECT_EQ(record["traceId"].string(), "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(record["body"]["stringValue"].string(), "{\"n\":4}");
  EXPECT_EQ(record["attributes"].at(0)["value"]["stringValue"].string(), "gate.example.com/test:4");
}

TEST(Otlp, APartialSuccessIsNone) {
  FakeServer server;
  server.answer = [](const FetchRequest& r) {
    return FakeServer::Say(200, r.body.contains("{\\\"n\\\":5}")
                                    ? R"({"partialSuccess":{"rejectedLogRecords":"1"}})"
                                    : R"({"partialSuccess":{"rejectedLogRecords":0}})");
  };
  const auto refused = Otlp(server)->Send(BatchOf(0, 8));
  ASSERT_TRUE(refused.has_value());
  ASSERT_EQ(refused->size(), 1u);
  EXPECT_EQ(refused->front().index, 5u);
}

TEST(Otlp, OnlySpansGoToTracesAndTheRestIsDoneWith) {
  FakeServer server;
  server.answer = [](const FetchRequest&) {
    return FakeServer::Say(200, R"({"partialSuccess":{"rejectedSpans":"0"}})");
  };
  const auto traces = Otlp(server, OtlpTarget::Signal::traces);
  Batch batch = BatchOf(0, 4);
  batch.items[0].text = batch.items[2].text = "";
  ASSERT_TRUE(traces->Send(batch).has_value());
  EXPECT_EQ(*traces->Confirmed(), 4u);
  ASSERT_EQ(server.asked.size(), 1u);
  EXPECT_EQ(server.asked[0].url, "https://otel.example:4318/v1/traces");
  const auto document = *json::Document::Parse(server.asked[0].body);
  const json::Value spans = document.root()["resourceSpans"].at(0)["scopeSpans"].at(0)["spans"];
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans.at(1)["n"].integer(), 3);
  for (Item& item : batch.items) item.text.clear();
  ASSERT_TRUE(traces->Send(batch).has_value());
  EXPECT_EQ(server.asked.size(), 1u) << "nothing to send";
}

TEST(Otlp, MetricsAreCumulativeAndNamedByTheConventions) {
  obs::Registry registry;
  registry.counters("sallyport_a_total", "A.", {"x"}).With({"\"quoted\""}).Add(3);
  registry.gauges("sallyport_b", "B.").With().Set(std::numeric_limits<double>::infinity());
  auto& times = registry
                    .histograms("sallyport_mcp_operation_seconds", "C.",
                                {"server", "method", "outcome"}, {0.1, 1})
                    .With({"payments", "tools/call", "refused"});
  times.Observe(0.5);
  times.Observe(7);
  const std::string text = "[" + RenderMetrics(registry.Collect(), 1, 2) + "]";
  const auto document = *json::Document::Parse(text);
  const json::Value all = document.root();
  ASSERT_EQ(all.size(), 3u);
  const json::Value sum = all.at(0)["sum"];
  EXPECT_EQ(sum["aggregationTemporality"].integer(), 2);
  EXPECT_EQ(sum["isMonotonic"].boolean(), true);
  EXPECT_EQ(sum["dataPoints"].at(0)["asDouble"].integer(), 3);
  EXPECT_EQ(sum["dataPoints"].at(0)["attributes"].at(0)["value"]["stringValue"].string(),
            "\"quoted\"");
  EXPECT_EQ(all.at(1)["gauge"]["dataPoints"].size(), 0u) << "infinity is no JSON number";
  EXPECT_EQ(all.at(2)["name"].string(), "mcp.server.operation.duration");
  EXPECT_EQ(all.at(2)["unit"].string(), "s");
  const json::Value point = all.at(2)["histogram"]["dataPoints"].at(0);
  EXPECT_EQ(point["count"].string(), "2");
  ASSERT_EQ(point["bucketCounts"].size(), 3u);
  EXPECT_EQ(point["bucketCounts"].at(1).string(), "1");
  EXPECT_EQ(point["bucketCounts"].at(2).string(), "1");
  EXPECT_EQ(point["attributes"].at(1)["key"].string(), "mcp.method.name");
  EXPECT_EQ(point["attributes"].at(2)["key"].string(), "error.type");
}

TEST(Otlp, AnswersThatAreNoneConfirmNothing) {
  FakeServer server;
  for (const auto& [status, body] :
       {std::pair(200, "<html>"), std::pair(200, "[]"), std::pair(503, "{}"), std::pair(404, "{}"),
        std::pair(200, R"({"partialSuccess":{"rejectedLogRecords":"many"}})"),
        std::pair(200, R"({"partialSuccess":{"rejectedLogRecords":-1}})"),
        std::pair(200, R"({"partialSuccess":{"rejectedLogRecords":"8"}})")}) {
    server.answer = [&](const FetchRequest&) { return FakeServer::Say(status, body); };
    EXPECT_FALSE(Otlp(server)->Send(BatchOf(0, 8)).has_value()) << status << body;
  }
}

TEST(Webhook, SignsWhatItPosts) {
  FakeServer server;
  server.answer = [](const FetchRequest&) { return FakeServer::Say(204, ""); };
  auto webhook = *MakeWebhookDelivery(
      server.receiver(), [] { return Result<Secret>(Secret("https://in.example/x")); }, ReadToken,
      ReadToken);
  ASSERT_TRUE(webhook->Send(BatchOf(0, 2)).has_value());
  EXPECT_EQ(*webhook->Confirmed(), 2u);
  EXPECT_EQ(server.asked[0].body, "{\"n\":0}\n{\"n\":1}\n");
  using testing::Contains, testing::Pair;
  EXPECT_THAT(server.asked[0].headers, Contains(Pair("Authorization", "Bearer t0ken")));
  EXPECT_THAT(server.asked[0].headers,
              Contains(Pair("X-Sallyport-Delivery", "gate.example.com/test:0-1")));
  EXPECT_THAT(
      server.asked[0].headers,
      Contains(Pair("X-Sallyport-Signature", testing::MatchesRegex("t=[0-9]+,v1=[0-9a-f]+"))));
}

TEST(File, GoesOnInANewFileAndTakesTornLinesAway) {
  ledger::Scratch dir;
  dir.WriteText("events", "{\"old\":1}\n{\"torn\":");
  const auto path = dir.path() / "events";
  auto file = MakeFileDelivery({.path = path});
  ASSERT_TRUE(file->Send(BatchOf(0, 1)).has_value());
  EXPECT_EQ(dir.ReadText("events"), "{\"old\":1}\n{\"n\":0}\n");
  std::filesystem::rename(path, dir.path() / "events.1");
  ASSERT_TRUE(file->Send(BatchOf(1, 3)).has_value());
  EXPECT_EQ(dir.ReadText("events.1"), "{\"old\":1}\n{\"n\":0}\n");
  EXPECT_EQ(dir.ReadText("events"), "{\"n\":1}\n{\"n\":2}\n");
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/null", path);
  EXPECT_FALSE(file->Send(BatchOf(3, 4)).has_value());
  EXPECT_EQ(*file->Confirmed(), 3u);
}

TEST(File, AFullDiskLeavesNoHalfLine) {
  auto file = MakeFileDelivery({.path = "/dev/full"});
  EXPECT_FALSE(file->Send(BatchOf(0, 1)).has_value());
  EXPECT_EQ(*file->Confirmed(), 0u);
}

}  // namespace
}  // namespace sallyport::exporting
