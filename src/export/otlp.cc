#include <algorithm>
#include <charconv>

#include "export/deliveries.h"
#include "json/document.h"
#include "ledger/object_writer.h"

// OpenTelemetry Protocol 1.x over HTTP, JSON Protobuf encoding
// (opentelemetry.io/docs/specs/otlp): names in lowerCamelCase, 64-bit integers as text, trace ids
// in hexadecimal; and the logs data model for severities.

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

/// One element of a list of attributes.
void Attribute(std::string& list, std::string_view key, std::string_view value) {
  if (list.back() != '[') list += ',';
  ObjectWriter o(list);
  o.Text("key", key);
  ObjectWriter v(o.Key("value"));
  json::AppendString(v.Key("stringValue"), value);
  v.Close();
  o.Close();
}

class OtlpDelivery final : public Delivery {
 public:
  using Headers = std::vector<std::pair<std::string, ReadSecret>>;

  OtlpDelivery(std::string url, Headers headers, std::string version, Receiver receiver,
               const Clock& clock)
      : url_(std::move(url)),
        read_headers_(std::move(headers)),
        version_(std::move(version)),
        receiver_(std::move(receiver)),
        clock_(clock) {
    if (!url_.ends_with("/v1/logs")) url_ += "/v1/logs";
  }

  Result<> ReadHeaders() {
    std::vector<std::pair<std::string, Secret>> fresh;
    for (const auto& [name, read] : read_headers_) {
      SALLYPORT_TRY(Secret value, read());
      fresh.emplace_back(name, std::move(value));
    }
    headers_ = std::move(fresh);
    return {};
  }

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    auto refused = PostDividing(
        batch.items, [&](std::span<const Item> items) { return PostSome(batch.origin, items); });
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
    Attribute(list, "log.record.uid", origin + ":" + std::to_string(item.index));
    Attribute(list, "sallyport.log.origin", origin);
    Attribute(list, "sallyport.log.index", std::to_string(item.index));
    Attribute(list, "sallyport.log.leaf_hash", item.leaf);
    list += ']';
    const bool traced = item.trace.size() == 32 &&
                        item.trace.find_first_not_of("0123456789abcdef") == std::string::npos &&
                        item.trace.find_first_not_of('0') != std::string::npos;
    if (traced) o.Text("traceId", item.trace);
    o.Close();
  }

  std::string Body(const std::string& origin, std::span<const Item> items) const {
    std::string out;
    ObjectWriter request(out);
    std::string& list = request.Key("resourceLogs");
    list += '[';
    ObjectWriter resource_logs(list);
    ObjectWriter resource(resource_logs.Key("resource"));
    std::string& attributes = resource.Key("attributes");
    attributes += '[';
    Attribute(attributes, "service.name", "sallyport");
    Attribute(attributes, "service.version", version_);
    Attribute(attributes, "service.instance.id", origin);
    attributes += ']';
    resource.Close();
    resource_logs.Key("scopeLogs") += '[';
    ObjectWriter scope_logs(out);
    ObjectWriter scope(scope_logs.Key("scope"));
    scope.Text("name", "sallyport.evidence");
    scope.Text("version", version_);
    scope.Close();
    scope_logs.Key("logRecords") += '[';
    for (const Item& item : items) {
      if (out.back() != '[') out += ',';
      AppendRecord(out, origin, item);
    }
    out += ']';
    scope_logs.Close();
    out += ']';
    resource_logs.Close();
    out += ']';
    request.Close();
    return out;
  }

  Result<Answer> PostSome(const std::string& origin, std::span<const Item> items) {
    HeaderList headers{{"Content-Type", "application/json"}};
    for (const auto& [name, value] : headers_)
      headers.emplace_back(name, std::string(value.Reveal()));
    SALLYPORT_TRY(const FetchResponse response,
                  Post(receiver_, url_, Body(origin, items), std::move(headers)));
    if (!Taken(response))
      return Answer{Answer::Kind::refused, "HTTP " + std::to_string(response.status)};
    if (response.body.find_first_not_of(" \t\r\n") == std::string::npos) return Answer{};
    const auto document = json::Document::Parse(response.body);
    if (!document || !document->root().is(json::Kind::object)) {
      return Fail(Errc::upstream_protocol,
                  "the receiver's answer is not that of OTLP in JSON: what it took is unknown");
    }
    SALLYPORT_TRY(const uint64_t rejected, RejectedIn(document->root()["partialSuccess"]));
    if (rejected == 0) return Answer{};
    return Answer{rejected < items.size() ? Answer::Kind::partly : Answer::Kind::refused,
                  "rejected (partialSuccess)"};
  }

  /// 64-bit integers are text in JSON Protobuf; numbers are read too.
  static Result<uint64_t> RejectedIn(json::Value partial) {
    const json::Value rejected = partial["rejectedLogRecords"];
    if (!rejected || rejected.is(json::Kind::null)) return 0;
    std::optional<int64_t> count = rejected.integer();
    if (const auto text = rejected.string()) {
      int64_t n = 0;
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), n);
      if (error == std::errc() && end == text->data() + text->size()) count = n;
    }
    if (!count || *count < 0) {
      return Fail(Errc::upstream_protocol,
                  "the receiver does not say how many events it has rejected");
    }
    return uint64_t(*count);
  }

  std::string url_;
  const Headers read_headers_;
  const std::string version_;
  const Receiver receiver_;
  const Clock& clock_;
  std::vector<std::pair<std::string, Secret>> headers_;
  uint64_t end_ = 0;
};

}  // namespace

Result<std::unique_ptr<Delivery>> MakeOtlpDelivery(
    std::string url, std::vector<std::pair<std::string, ReadSecret>> headers, std::string version,
    Receiver receiver, const Clock& clock) {
  auto delivery = std::make_unique<OtlpDelivery>(std::move(url), std::move(headers),
                                                 std::move(version), std::move(receiver), clock);
  SALLYPORT_CHECK(delivery->ReadHeaders());
  return delivery;
}

}  // namespace sallyport::exporting
