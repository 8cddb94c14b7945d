#include <gtest/gtest.h>
// clang-format off: the second wants the first
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
// clang-format on

#include <memory>

#include "export/deliveries.h"

// The broker is librdkafka's own mock cluster: a double that speaks Kafka's protocol.

namespace sallyport::exporting {
namespace {

class MockBroker : public testing::Test {
 protected:
  MockBroker() {
    char why[256];
    kafka_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    cluster_ = rd_kafka_mock_cluster_new(kafka_, 3);
    rd_kafka_mock_topic_create(cluster_, "audit", 4, 3);
  }
  ~MockBroker() override {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(kafka_);
  }

  std::unique_ptr<Delivery> Make(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    KafkaTarget target;
    target.brokers = {rd_kafka_mock_cluster_bootstraps(cluster_)};
    target.topic = "audit";
    target.tls = false;
    target.timeout = timeout;
    return MakeKafkaDelivery(target, {}, stop_.get_token());
  }

  static Batch BatchOf(uint64_t from, uint64_t to) {
    Batch batch{.origin = "gate.example.com/test", .items = {}};
    for (uint64_t i = from; i < to; ++i)
      batch.items.push_back({.index = i,
                             .at = 1'795'200'001'000'000'000,
                             .severity = {},
                             .event = "call.denied",
                             .leaf = {},
                             .trace = {},
                             .text = "{\"n\":" + std::to_string(i) + "}"});
    return batch;
  }

  /// Everything in the topic, as "partition:value", partition by partition.
  std::vector<std::pair<int, std::string>> Consume(size_t expected) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    char why[256];
    const auto set = [&](const char* k, const char* v) {
      rd_kafka_conf_set(conf, k, v, why, sizeof why);
    };
    set("bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster_));
    set("group.id", "test");
    set("auto.offset.reset", "earliest");
    rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(4);
    for (int p = 0; p < 4; ++p)
      rd_kafka_topic_partition_list_add(topics, "audit", p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, topics);
    std::vector<std::pair<int, std::string>> all;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (all.size() < expected && std::chrono::steady_clock::now() < end) {
      rd_kafka_message_t* m = rd_kafka_consumer_poll(consumer, 200);
      if (m == nullptr) continue;
      if (!m->err)
        all.emplace_back(m->partition, std::string(static_cast<char*>(m->payload), m->len));
      rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(topics);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return all;
  }

  std::stop_source stop_;
  rd_kafka_t* kafka_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

using Kafka = MockBroker;

TEST_F(Kafka, ComesInOrderIntoOnePartition) {
  const auto delivery = Make();
  for (uint64_t i = 0; i < 600; i += 200) {
    const auto refused = delivery->Send(BatchOf(i, i + 200));
    ASSERT_TRUE(refused.has_value()) << refused.error().detail;
    EXPECT_TRUE(refused->empty());
    EXPECT_EQ(*delivery->Confirmed(), i + 200);
  }
  const auto all = Consume(600);
  ASSERT_EQ(all.size(), 600u);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].first, all[0].first);
    EXPECT_EQ(all[i].second, "{\"n\":" + std::to_string(i) + "}");
  }
}

TEST_F(Kafka, ErrorsOfBrokersAreWaitedOutAndLoseNothing) {
  const auto delivery = Make();
  ASSERT_TRUE(delivery->Send(BatchOf(0, 10)).has_value());
  rd_kafka_mock_push_request_errors(
      cluster_, 0 /* Produce */, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
  ASSERT_TRUE(delivery->Send(BatchOf(10, 300)).has_value());
  const auto all = Consume(300);
  ASSERT_EQ(all.size(), 300u) << "an idempotent producer repeats without doubles";
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].second, "{\"n\":" + std::to_string(i) + "}");
}

TEST_F(Kafka, WhatNoBrokerTakesIsNotConfirmed) {
  const auto delivery = Make(std::chrono::seconds(2));
  ASSERT_TRUE(delivery->Send(BatchOf(0, 1)).has_value());
  for (int broker = 1; broker <= 3; ++broker) rd_kafka_mock_broker_set_down(cluster_, broker);
  EXPECT_FALSE(delivery->Send(BatchOf(1, 3)).has_value());
  EXPECT_EQ(*delivery->Confirmed(), 1u);
  EXPECT_EQ(delivery->Restart(1), 1u);
  for (int broker = 1; broker <= 3; ++broker) rd_kafka_mock_broker_set_up(cluster_, broker);
  Result<std::vector<Refused>> again = delivery->Send(BatchOf(1, 3));
  for (int i = 0; i < 10 && !again; ++i) {
    delivery->Restart(1);
    again = delivery->Send(BatchOf(1, 3));
  }
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*delivery->Confirmed(), 3u);
}

TEST_F(Kafka, AnEventThatIsTooLargeIsNamedAndTheRestGoesOn) {
  const auto delivery = Make();
  Batch batch = BatchOf(0, 3);
  batch.items[1].text.assign(2'000'000, 'x');
  const auto refused = delivery->Send(batch);
  ASSERT_TRUE(refused.has_value());
  ASSERT_EQ(refused->size(), 1u);
  EXPECT_EQ(refused->front().index, 1u);
  EXPECT_EQ(refused->front().why, "MSG_SIZE_TOO_LARGE");
  EXPECT_EQ(Consume(2).size(), 2u);
}

}  // namespace
}  // namespace sallyport::exporting
