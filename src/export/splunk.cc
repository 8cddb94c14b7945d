#include <algorithm>
#include <cstdio>
#include <deque>
#include <set>

#include "base/bytes.h"
#include "base/ids.h"
#include "export/deliveries.h"
#include "json/document.h"
#include "ledger/object_writer.h"

// Splunk's documentation: "Format events for HTTP Event Collector", "HTTP Event Collector indexer
// acknowledgment", "Troubleshoot HTTP Event Collector" (the codes).

namespace sallyport::exporting {
namespace {

using ledger::ObjectWriter;

/// Codes of an answer that are about what an event holds: the same event would be refused again.
bool AboutTheEvents(int64_t code) { return code == 6 || code == 12 || code == 13 || code == 15; }

/// A GUID (RFC 9562, version 4), as a channel has to be.
std::string NewChannel() {
  std::string bytes = NewRandom(16);
  bytes[6] = char((bytes[6] & 0x0f) | 0x40), bytes[8] = char((bytes[8] & 0x3f) | 0x80);
  std::string hex = HexEncode(AsBytes(bytes));
  for (const size_t at : {8u, 13u, 18u, 23u}) hex.insert(at, 1, '-');
  return hex;
}

class SplunkDelivery final : public Delivery {
 public:
  SplunkDelivery(SplunkTarget target, bool json, Receiver receiver, ReadSecret token,
                 const Clock& clock)
      : target_(std::move(target)),
        json_(json),
        receiver_(std::move(receiver)),
        read_token_(std::move(token)),
        clock_(clock),
        channel_(NewChannel()) {}

  Result<> ReadToken() {
    SALLYPORT_TRY(token_, read_token_());
    return {};
  }

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    UnderWay under_way{batch.end(), {}, clock_.SteadyNow()};
    auto refused = PostDividing(batch.items, [&](std::span<const Item> items) {
      return PostSome(batch.origin, items, under_way.acks);
    });
    if (refused) under_way_.push_back(std::move(under_way));
    return refused;
  }

  Result<uint64_t> Confirmed() override {
    if (target_.acknowledged && !under_way_.empty()) SALLYPORT_CHECK(AskForAcks());
    while (!under_way_.empty() && under_way_.front().acks.empty()) {
      end_ = under_way_.front().end;
      under_way_.pop_front();
    }
    if (!under_way_.empty() &&
        clock_.SteadyNow() - under_way_.front().since > target_.ack_timeout) {
      return Fail(Errc::upstream_timeout,
                  "the receiver has taken events and not acknowledged them in time");
    }
    return end_;
  }

  uint64_t Restart(uint64_t cursor) override {
    under_way_.clear();
    end_ = 0;
    channel_ = NewChannel();
    last_ack_ = -1;
    (void)ReadToken();  // it may have been the reason; else the old one is tried again
    return cursor;
  }

  size_t window() const override { return target_.acknowledged ? 16 : 1; }
  size_t batch_bytes() const override { return 800'000; }  // Splunk's own default limit is 1 MB

 private:
  struct UnderWay {
    uint64_t end;
    std::set<int64_t> acks;  // that are still missing
    std::chrono::steady_clock::time_point since;
  };

  void AppendEvent(std::string& body, const std::string& origin, const Item& item) const {
    ObjectWriter o(body);
    if (item.at > 0) {
      char time[40];
      std::snprintf(time, sizeof time, "%lld.%06lld",
                    static_cast<long long>(item.at / 1'000'000'000),
                    static_cast<long long>(item.at / 1000 % 1'000'000));
      o.Key("time") += time;
    }
    o.Text("host", origin);
    o.Text("source", "sallyport");
    o.Text("sourcetype", target_.sourcetype);
    o.Text("index", target_.index);
    if (json_) {
      o.Key("event") += item.text;
    } else {
      json::AppendString(o.Key("event"), item.text);
    }
    ObjectWriter fields(o.Key("fields"));
    fields.Text("uid", origin + ":" + std::to_string(item.index));
    fields.Text("leaf_hash", item.leaf);
    fields.Close();
    o.Close();
  }

  HeaderList Headers() const {
    return {{"Authorization", "Splunk " + std::string(token_.Reveal())},
            {"Content-Type", "application/json"},
            {"X-Splunk-Request-Channel", channel_}};
  }

  Result<Answer> PostSome(const std::string& origin, std::span<const Item> items,
                          std::set<int64_t>& acks) {
    std::string body;
    for (const Item& item : items) AppendEvent(body, origin, item);
    SALLYPORT_TRY(
        const FetchResponse response,
        Post(receiver_, target_.url + "/services/collector/event", std::move(body), Headers()));
    if (response.status == 413) return Answer{Answer::Kind::refused, "HTTP 413"};
    const auto document = json::Document::Parse(response.body);
    const auto code = document ? document->root()["code"].integer() : std::nullopt;
    if (!code) {
      return Fail(Errc::upstream_protocol, "the receiver answered " +
                                               std::to_string(response.status) +
                                               " and not as an event collector does");
    }
    if (AboutTheEvents(*code))
      return Answer{Answer::Kind::refused, "code " + std::to_string(*code)};
    if (*code != 0 || !Taken(response)) {
      return Fail(Errc::upstream_protocol, "the receiver answered " +
                                               std::to_string(response.status) + " with code " +
                                               std::to_string(*code));
    }
    if (!target_.acknowledged) return Answer{};
    const auto ack = document->root()["ackId"].integer();
    if (!ack) {
      return Fail(Errc::upstream_protocol,
                  "the token has no indexer acknowledgement: switch it on at the receiver, or "
                  "write acknowledged: false and accept that a 200 proves nothing");
    }
    // They count up on a channel. One that has been given before means that the receiver has
    // started anew: the earlier ones are lost, and would seem to be acknowledged by the later.
    if (*ack <= last_ack_)
      return Fail(Errc::upstream_protocol, "the receiver has forgotten what it had taken");
    last_ack_ = *ack;
    acks.insert(*ack);
    return Answer{};
  }

  /// Asks about all that are missing; not for each turn of the caller.
  Result<> AskForAcks() {
    const auto now = clock_.SteadyNow();
    if (now - asked_ < std::chrono::milliseconds(200)) return {};
    asked_ = now;
    std::string body = R"({"acks":[)";
    for (const UnderWay& batch : under_way_) {
      for (const int64_t ack : batch.acks) {
        if (body.back() != '[') body += ',';
        body += std::to_string(ack);
      }
    }
    body += "]}";
    SALLYPORT_TRY(
        const FetchResponse response,
        Post(receiver_, target_.url + "/services/collector/ack", std::move(body), Headers()));
    const auto document = json::Document::Parse(response.body);
    if (!Taken(response) || !document || !document->root()["acks"].is(json::Kind::object)) {
      return Fail(Errc::upstream_protocol, "the receiver does not say what it has indexed (" +
                                               std::to_string(response.status) + ")");
    }
    const json::Value said = document->root()["acks"];
    for (UnderWay& batch : under_way_) {
      std::erase_if(batch.acks, [&](int64_t ack) {
        return said[std::to_string(ack)].boolean().value_or(false);
      });
    }
    return {};
  }

  const SplunkTarget target_;
  const bool json_;
  const Receiver receiver_;
  const ReadSecret read_token_;
  const Clock& clock_;
  Secret token_;
  std::string channel_;
  int64_t last_ack_ = -1;  // on this channel
  std::deque<UnderWay> under_way_;
  std::chrono::steady_clock::time_point asked_{};
  uint64_t end_ = 0;
};

}  // namespace

Result<std::unique_ptr<Delivery>> MakeSplunkDelivery(SplunkTarget target, bool json,
                                                     Receiver receiver, ReadSecret token,
                                                     const Clock& clock) {
  auto delivery = std::make_unique<SplunkDelivery>(std::move(target), json, std::move(receiver),
                                                   std::move(token), clock);
  SALLYPORT_CHECK(delivery->ReadToken());
  return delivery;
}

}  // namespace sallyport::exporting
