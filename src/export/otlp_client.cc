#include "export/otlp_client.h"

#include <charconv>
#include <optional>

#include "json/document.h"
#include "ledger/object_writer.h"

namespace sallyport::exporting {
namespace {

using ledger::ObjectWriter;

void AppendTyped(std::string& list, std::string_view key, std::string_view type,
                 std::string_view value) {
  if (list.back() != '[') list += ',';
  ObjectWriter o(list);
  o.Text("key", key);
  ObjectWriter v(o.Key("value"));
  json::AppendString(v.Key(type), value);
  v.Close();
  o.Close();
}

/// 64-bit integers are text in JSON Protobuf; numbers are read too.
Result<uint64_t> RejectedIn(json::Value partial, std::string_view name) {
  const json::Value rejected = partial[name];
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

}  // namespace

OtlpNames NamesOf(OtlpTarget::Signal signal) {
  switch (signal) {
    case OtlpTarget::Signal::logs:
      break;
    case OtlpTarget::Signal::traces:
      return {"/v1/traces", "resourceSpans", "scopeSpans", "spans", "rejectedSpans"};
    case OtlpTarget::Signal::metrics:
      return {"/v1/metrics", "resourceMetrics", "scopeMetrics", "metrics", "rejectedDataPoints"};
  }
  return {"/v1/logs", "resourceLogs", "scopeLogs", "logRecords", "rejectedLogRecords"};
}

void AppendAttribute(std::string& list, std::string_view key, std::string_view value) {
  AppendTyped(list, key, "stringValue", value);
}

void AppendAttribute(std::string& list, std::string_view key, int64_t value) {
  AppendTyped(list, key, "intValue", std::to_string(value));
}

OtlpClient::OtlpClient(const OtlpTarget& target, Headers headers, std::string version,
                       Receiver receiver)
    : names_(NamesOf(target.signal)),
      url_(target.url),
      read_headers_(std::move(headers)),
      version_(std::move(version)),
      receiver_(std::move(receiver)) {
  if (!url_.ends_with(names_.path)) url_ += names_.path;
}

Result<> OtlpClient::ReadHeaders() {
  std::vector<std::pair<std::string, Secret>> fresh;
  for (const auto& [name, read] : read_headers_) {
    SALLYPORT_TRY(Secret value, read());
    fresh.emplace_back(name, std::move(value));
  }
  headers_ = std::move(fresh);
  return {};
}

std::string OtlpClient::Wrap(std::string_view origin, std::string_view records) const {
  std::string out;
  ObjectWriter request(out);
  request.Key(names_.resource) += '[';
  ObjectWriter of_resource(out);
  ObjectWriter resource(of_resource.Key("resource"));
  std::string& attributes = resource.Key("attributes");
  attributes += '[';
  AppendAttribute(attributes, "service.name", "sallyport");
  AppendAttribute(attributes, "service.version", version_);
  AppendAttribute(attributes, "service.instance.id", origin);
  attributes += ']';
  resource.Close();
  of_resource.Key(names_.scope) += '[';
  ObjectWriter of_scope(out);
  ObjectWriter scope(of_scope.Key("scope"));
  scope.Text("name", "sallyport.evidence");
  scope.Text("version", version_);
  scope.Close();
  of_scope.Key(names_.records).append("[").append(records).append("]");
  of_scope.Close();
  out += ']';
  of_resource.Close();
  out += ']';
  request.Close();
  return out;
}

Result<OtlpClient::Reply> OtlpClient::Post(std::string body) const {
  HeaderList headers{{"Content-Type", "application/json"}};
  for (const auto& [name, value] : headers_)
    headers.emplace_back(name, std::string(value.Reveal()));
  SALLYPORT_TRY(const FetchResponse response,
                exporting::Post(receiver_, url_, std::move(body), std::move(headers)));
  if (!Taken(response)) return Reply{.status = response.status};
  if (response.body.find_first_not_of(" \t\r\n") == std::string::npos) return Reply{};
  const auto document = json::Document::Parse(response.body);
  if (!document || !document->root().is(json::Kind::object)) {
    return Fail(Errc::upstream_protocol,
                "the receiver's answer is not that of OTLP in JSON: what it took is unknown");
  }
  SALLYPORT_TRY(const uint64_t rejected,
                RejectedIn(document->root()["partialSuccess"], names_.rejected));
  return Reply{.status = response.status, .rejected = rejected};
}

}  // namespace sallyport::exporting
