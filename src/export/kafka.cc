#include <librdkafka/rdkafka.h>
#include <memory>
#include <utility>

#include "export/deliveries.h"

// Apache Kafka by librdkafka: an idempotent producer with acks=all. All events have the log's
// origin as their key, so that they come into one partition, in order.

namespace sallyport::exporting {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);

struct DestroyProducer {
  void operator()(rd_kafka_t* kafka) const {
    rd_kafka_purge(kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(kafka, 100);
    rd_kafka_destroy(kafka);
  }
};
struct DestroyConf {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, DestroyConf>;
using Producer = std::unique_ptr<rd_kafka_t, DestroyProducer>;

/// What became of the events of one batch.
struct Reports {
  size_t done = 0;
  rd_kafka_resp_err_t failed = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::vector<Refused> refused;
};

/// An event that stays too large or wrong however often it is sent.
bool ForGood(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_INVALID_RECORD || error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

std::string NameOf(rd_kafka_resp_err_t error) { return rd_kafka_err2name(error); }

void Report(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& reports = *static_cast<Reports*>(opaque);
  ++reports.done;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const auto index = uint64_t(reinterpret_cast<uintptr_t>(message->_private));
  if (ForGood(message->err))
    reports.refused.push_back({index, NameOf(message->err)});
  else
    reports.failed = message->err;
}

/// librdkafka's own lines would go to stderr; what fails is told by what it returns.
void Silent(const rd_kafka_t*, int, const char*, const char*) {}

class KafkaDelivery final : public Delivery {
 public:
  KafkaDelivery(KafkaTarget target, ReadSecret password, std::stop_token stop)
      : target_(std::move(target)), read_password_(std::move(password)), stop_(std::move(stop)) {}

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    if (!producer_) SALLYPORT_CHECK(Connect());
    reports_ = {};
    for (const Item& item : batch.items) {
      const rd_kafka_resp_err_t error = rd_kafka_producev(
          producer_.get(), RD_KAFKA_V_TOPIC(target_.topic.c_str()),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
          RD_KAFKA_V_KEY(batch.origin.data(), batch.origin.size()),
          RD_KAFKA_V_VALUE(const_cast<char*>(item.text.data()), item.text.size()),
          RD_KAFKA_V_TIMESTAMP(item.at / 1'000'000),
          RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(uintptr_t(item.index))), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      ++reports_.done;
      if (ForGood(error))
        reports_.refused.push_back({item.index, NameOf(error)});
      else
        reports_.failed = error;
    }
    const auto end = std::chrono::steady_clock::now() + target_.timeout;
    while (reports_.done < batch.items.size()) {
      if (stop_.stop_requested()) return Fail(Errc::cancelled, "the gateway stops");
      if (std::chrono::steady_clock::now() >= end)
        return Fail(Errc::upstream_timeout, "no broker has taken the events");
      rd_kafka_poll(producer_.get(), int(kPoll.count()));
    }
    if (reports_.failed != RD_KAFKA_RESP_ERR_NO_ERROR)
      return Fail(Errc::upstream_protocol, "Kafka: " + NameOf(reports_.failed));
    // A broker that takes nothing is out of order, not right.
    if (reports_.refused.size() == batch.items.size() && batch.items.size() > 1)
      return Fail(Errc::upstream_protocol, "Kafka: " + reports_.refused.front().why);
    end_ = batch.end();
    return std::exchange(reports_.refused, {});
  }

  Result<uint64_t> Confirmed() override { return end_; }

  /// A new producer: what the old one still holds could otherwise come behind what is sent again.
  uint64_t Restart(uint64_t cursor) override {
    producer_.reset();
    end_ = 0;
    return cursor;
  }

 private:
  static Result<> Set(const Conf& conf, const char* key, const std::string& value) {
    char why[256];
    if (rd_kafka_conf_set(conf.get(), key, value.c_str(), why, sizeof why) == RD_KAFKA_CONF_OK)
      return {};
    return Fail(Errc::config_invalid, std::string("Kafka: ") + key + " cannot be set");
  }

  Result<> Connect() {
    Conf conf(rd_kafka_conf_new());
    std::string brokers;
    for (const std::string& broker : target_.brokers)
      brokers.append(brokers.empty() ? "" : ",").append(broker);
    const bool login = !target_.username.empty();
    std::vector<std::pair<const char*, std::string>> settings{
        {"bootstrap.servers", brokers},
        {"client.id", "sallyport"},
        {"enable.idempotence", "true"},
        {"enable.gapless.guarantee", "true"},
        {"acks", "all"},
        {"message.timeout.ms", std::to_string(target_.timeout.count())},
        {"linger.ms", "5"},
        {"compression.type", "lz4"},
        {"message.max.bytes", "1000000"},
        {"allow.auto.create.topics", "false"},
        {"security.protocol",
         std::string(login ? "SASL_" : "") + (target_.tls ? "SSL" : "PLAINTEXT")}};
    if (target_.tls) {
      if (!target_.ca.empty()) settings.emplace_back("ssl.ca.location", target_.ca.string());
      if (!target_.client_cert.empty())
        settings.emplace_back("ssl.certificate.location", target_.client_cert.string());
      if (target_.client_key) settings.emplace_back("ssl.key.location", target_.client_key->name);
    }
    if (login) {
      SALLYPORT_TRY(const Secret password, read_password_());
      settings.emplace_back("sasl.mechanisms", target_.mechanism);
      settings.emplace_back("sasl.username", target_.username);
      settings.emplace_back("sasl.password", std::string(password.Reveal()));
    }
    for (const auto& [key, value] : settings) SALLYPORT_CHECK(Set(conf, key, value));
    rd_kafka_conf_set_dr_msg_cb(conf.get(), Report);
    rd_kafka_conf_set_log_cb(conf.get(), Silent);
    rd_kafka_conf_set_opaque(conf.get(), &reports_);
    char why[256];
    rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why, sizeof why);
    if (producer == nullptr)
      return Fail(Errc::config_invalid, "Kafka: no producer can be made of these settings");
    (void)conf.release();  // the producer's
    producer_.reset(producer);
    return {};
  }

  const KafkaTarget target_;
  const ReadSecret read_password_;
  const std::stop_token stop_;
  Reports reports_;
  Producer producer_;
  uint64_t end_ = 0;
};

}  // namespace

std::unique_ptr<Delivery> MakeKafkaDelivery(KafkaTarget target, ReadSecret password,
                                            std::stop_token stop) {
  return std::make_unique<KafkaDelivery>(std::move(target), std::move(password), std::move(stop));
}

}  // namespace sallyport::exporting
