#include "export/deliveries.h"
#include "export/format.h"
#include "export/otlp_client.h"
#include "json/document.h"
#include "ledger/object_writer.h"

// The logs data model for severities and trace ids (opentelemetry.io/docs/specs/otel/logs);
// spans come ready from RenderSpan.

namespace sallyport::exporting {
namespace {

using ledger::ObjectWriter;

struct Level {
  int number;
  std::string_view text;
};

Level LevelOf(Severity severity) {
  switch (severity) {
    case Severity::unknown:
      break;
    case Severity::informational:
      return {9, "INFO"};
    case Severity::low:
      return {10, "INFO2"};
    case Severity::medium:
      return {13, "WARN"};
    case Severity::high:
      return {17, "ERROR"};
    case Severity::critical:
      return {18, "ERROR2"};
    case Severity::fatal:
      return {21, "FATAL"};
  }
  return {0, {}};
}

class OtlpDelivery final : public Delivery {
 public:
  OtlpDelivery(bool spans, OtlpClient client, const Clock& clock)
      : spans_(spans), client_(std::move(client)), clock_(clock) {}

  Result<> ReadHeaders() { return client_.ReadHeaders(); }

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    std::vector<Item> spans;  // what is none has no text, and is done with
    if (spans_) {
      for (const Item& item : batch.items)
        if (!item.text.empty()) spans.push_back(item);
    }
    const std::span<const Item> items = spans_ ? std::span<const Item>(spans) : batch.items;
    Result<std::vector<Refused>> refused;
    if (!items.empty()) {
      refused = PostDividing(
          items, [&](std::span<const Item> some) { return PostSome(batch.origin, some); });
    }
    if (refused) end_ = batch.end();
    return refused;
  }

  Result<uint64_t> Confirmed() override { return end_; }
  uint64_t Restart(uint64_t cursor) override {
    end_ = 0;
    (void)ReadHeaders();  // they may have been the reason; else the old ones are tried again
    return cursor;
  }

 private:
  void AppendRecord(std::string& out, const std::string& origin, const Item& item) const {
    ObjectWriter o(out);
    if (item.at > 0) o.Text("timeUnixNano", std::to_string(item.at));
    o.Text("observedTimeUnixNano", std::to_string(clock_.WallNow()));
    if (const Level level = LevelOf(item.severity); level.number > 0) {
      o.Number("severityNumber", level.number);
      o.Text("severityText", level.text);
    }
    o.Text("eventName", item.event);
    ObjectWriter body(o.Key("body"));
    json::AppendString(body.Key("stringValue"), item.text);
    body.Close();
    std::string& list = o.Key("attributes");
    list += '[';
    AppendAttribute(list, "log.record.uid", origin + ":" + std::to_string(item.index));
    AppendAttribute(list, "sallyport.log.origin", origin);
    AppendAttribute(list, "sallyport.log.index", std::to_string(item.index));
    AppendAttribute(list, "sallyport.log.leaf_hash", item.leaf);
    list += ']';
    if (IsTraceId(item.trace)) o.Text("traceId", item.trace);
    o.Close();
  }

  Result<Answer> PostSome(const std::string& origin, std::span<const Item> items) {
    std::string records;
    for (const Item& item : items) {
      if (!records.empty()) records += ',';
      if (spans_)
        records += item.text;
      else
        AppendRecord(records, origin, item);
    }
    SALLYPORT_TRY(const OtlpClient::Reply reply, client_.Post(client_.Wrap(origin, records)));
    if (reply.status < 200 || reply.status > 299)
      return Answer{Answer::Kind::refused, "HTTP " + std::to_string(reply.status)};
    if (reply.rejected == 0) return Answer{};
    return Answer{reply.rejected < items.size() ? Answer::Kind::partly : Answer::Kind::refused,
                  "rejected (partialSuccess)"};
  }

  const bool spans_;
  OtlpClient client_;
  const Clock& clock_;
  uint64_t end_ = 0;
};

}  // namespace

bool IsTraceId(std::string_view text) {
  return text.size() == 32 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         text.find_first_not_of('0') != std::string_view::npos;
}

Result<std::unique_ptr<Delivery>> MakeOtlpDelivery(
    const OtlpTarget& target, std::vector<std::pair<std::string, ReadSecret>> headers,
    std::string version, Receiver receiver, const Clock& clock) {
  auto delivery = std::make_unique<OtlpDelivery>(
      target.signal == OtlpTarget::Signal::traces,
      OtlpClient(target, std::move(headers), std::move(version), std::move(receiver)), clock);
  SALLYPORT_CHECK(delivery->ReadHeaders());
  return delivery;
}

}  // namespace sallyport::exporting
