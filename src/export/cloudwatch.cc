#include <algorithm>

#include "credential/aws_json.h"
#include "credential/store_answers.h"
#include "export/deliveries.h"
#include "json/document.h"
#include "ledger/object_writer.h"

// Amazon CloudWatch Logs API Reference, PutLogEvents (2014-03-28): at most 10,000 events,
// 1,048,576 bytes counting 26 more for each, 24 hours from the first to the last; in the order of
// their times. What is too old or too new is named in an answer of 200.

namespace sallyport::exporting {
namespace {

constexpr size_t kMostEvents = 10'000, kMostBytes = 1'048'576, kEventOverhead = 26;
constexpr int64_t kLongestMillis = 24 * 3'600 * 1'000 - 1;

class CloudWatchDelivery final : public Delivery {
 public:
  CloudWatchDelivery(const CloudWatchTarget& target, Receiver receiver, const Clock& clock)
      : group_(target.group),
        stream_(target.stream),
        stop_(receiver.stop),
        client_({.name = "logs",
                 .target = "Logs_20140328",
                 .region = target.region,
                 .url = target.url,
                 .keys = target.keys,
                 .reach = target.reach},
                std::move(receiver.fetch), clock) {}

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    std::vector<Refused> refused;
    std::span<const Item> rest(batch.items);
    while (!rest.empty()) {
      if (rest.front().text.size() + kEventOverhead > kMostBytes) {
        refused.push_back({rest.front().index, "larger than CloudWatch takes"});
        rest = rest.subspan(1);
        continue;
      }
      const size_t count = Fitting(rest);
      SALLYPORT_CHECK(Put(rest.first(count), refused));
      rest = rest.subspan(count);
    }
    end_ = batch.end();
    return refused;
  }

  Result<uint64_t> Confirmed() override { return end_; }
  uint64_t Restart(uint64_t cursor) override {
    end_ = 0;
    return cursor;
  }
  size_t batch_bytes() const override { return kMostBytes - 64 * kMostEvents / 20; }

 private:
  static int64_t MillisOf(const Item& item) { return item.at / 1'000'000; }

  /// How many of `items` one request may have; at least one.
  static size_t Fitting(std::span<const Item> items) {
    size_t bytes = 0, count = 0;
    int64_t latest = MillisOf(items.front());
    for (const Item& item : items) {
      bytes += item.text.size() + kEventOverhead;
      latest = std::max(latest, MillisOf(item));
      if (count > 0 && (bytes > kMostBytes || count == kMostEvents ||
                        latest - MillisOf(items.front()) > kLongestMillis))
        break;
      ++count;
    }
    return count;
  }

  std::string Body(std::span<const Item> items) const {
    std::string out;
    ledger::ObjectWriter request(out);
    request.Text("logGroupName", group_);
    request.Text("logStreamName", stream_);
    std::string& list = request.Key("logEvents");
    list += '[';
    int64_t time = 0;  // a clock that was set back must not put the log out of order
    for (const Item& item : items) {
      if (list.back() != '[') list += ',';
      time = std::max(time, MillisOf(item));
      ledger::ObjectWriter event(list);
      event.Number("timestamp", time);
      json::AppendString(event.Key("message"), item.text);
      event.Close();
    }
    list += ']';
    request.Close();
    return out;
  }

  Result<> MakeStream() {
    std::string body;
    ledger::ObjectWriter request(body);
    request.Text("logGroupName", group_);
    request.Text("logStreamName", stream_);
    request.Close();
    SALLYPORT_TRY(const FetchResponse answer, client_.Call("CreateLogStream", body, stop_));
    const std::string name = credential::AwsErrorName(answer.body);
    if (answer.status == 200 || name == "ResourceAlreadyExistsException") return {};
    return Refuse(answer);
  }

  static std::unexpected<Error> Refuse(const FetchResponse& answer) {
    const std::string name = credential::AwsErrorName(answer.body);
    return Fail(credential::AwsRefusesKey(name) || name == "AccessDeniedException"
                    ? Errc::upstream_login_failed
                    : Errc::upstream_protocol,
                "CloudWatch Logs answered HTTP " + std::to_string(answer.status) +
                    (name.empty() ? "" : " " + name));
  }

  Result<> Put(std::span<const Item> items, std::vector<Refused>& refused) {
    for (bool made = false;; made = true) {
      SALLYPORT_TRY(const FetchResponse answer, client_.Call("PutLogEvents", Body(items), stop_));
      if (answer.status == 200) return TakeRejected(answer.body, items, refused);
      if (made || credential::AwsErrorName(answer.body) != "ResourceNotFoundException")
        return Refuse(answer);
      SALLYPORT_CHECK(MakeStream());  // the group has to be there
    }
  }

  /// What is too old will not get younger; what is too new may be taken later.
  static Result<> TakeRejected(std::string_view body, std::span<const Item> items,
                               std::vector<Refused>& refused) {
    const auto document = json::Document::Parse(body);
    if (!document || !document->root().is(json::Kind::object)) {
      return Fail(Errc::upstream_protocol,
                  "the answer is not that of CloudWatch Logs: what it took is unknown");
    }
    const json::Value rejected = document->root()["rejectedLogEventsInfo"];
    if (rejected["tooNewLogEventStartIndex"].integer()) {
      return Fail(Errc::upstream_protocol,
                  "CloudWatch Logs calls the events too new: one of the clocks is wrong");
    }
    int64_t old = 0;
    for (const std::string_view end : {"tooOldLogEventEndIndex", "expiredLogEventEndIndex"})
      old = std::max(old, rejected[end].integer().value_or(0));
    for (size_t i = 0; i < std::min(items.size(), size_t(std::max<int64_t>(old, 0))); ++i)
      refused.push_back({items[i].index, "too old for CloudWatch Logs"});
    return {};
  }

  const std::string group_, stream_;
  const std::stop_token stop_;
  credential::AwsJsonClient client_;
  uint64_t end_ = 0;
};

}  // namespace

std::unique_ptr<Delivery> MakeCloudWatchDelivery(const CloudWatchTarget& target, Receiver receiver,
                                                 const Clock& clock) {
  return std::make_unique<CloudWatchDelivery>(target, std::move(receiver), clock);
}

}  // namespace sallyport::exporting
