#include "export/metrics_push.h"

#include <charconv>
#include <cmath>
#include <condition_variable>

#include "json/document.h"
#include "ledger/object_writer.h"
#include "obs/log.h"

namespace sallyport::exporting {
namespace {

using ledger::ObjectWriter;
using obs::Reading;

constexpr int kCumulative = 2;  // metrics.proto, AggregationTemporality

/// What has a name in the semantic conventions for MCP goes by it.
std::string_view NameOf(std::string_view name) {
  return name == "sallyport_mcp_operation_seconds" ? "mcp.server.operation.duration" : name;
}

void AppendLabel(std::string& list, std::string_view metric, std::string_view label,
                 std::string_view value) {
  const bool mcp = metric == "sallyport_mcp_operation_seconds";
  if (mcp && label == "method")
    AppendAttribute(list, "mcp.method.name", value);
  else if (mcp && label == "outcome" && value != "ok")
    AppendAttribute(list, "error.type", value);
  else if (!mcp || label != "outcome")
    AppendAttribute(list, mcp && label == "server" ? "sallyport.connection" : label, value);
}

/// JSON has no number for infinity and NaN; a point without a value is none.
bool AppendDouble(std::string& out, double value) {
  if (!std::isfinite(value)) return false;
  char text[40];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  return true;
}

void AppendPoint(std::string& list, const Reading& reading, const Reading::Sample& sample,
                 Nanos begun, Nanos now) {
  if (!std::isfinite(sample.value)) return;
  if (list.back() != '[') list += ',';
  ObjectWriter point(list);
  std::string& attributes = point.Key("attributes");
  attributes += '[';
  for (size_t i = 0; i < sample.values.size(); ++i)
    AppendLabel(attributes, reading.name, reading.labels[i], sample.values[i]);
  attributes += ']';
  if (reading.kind != Reading::Kind::gauge) point.Text("startTimeUnixNano", std::to_string(begun));
  point.Text("timeUnixNano", std::to_string(now));
  if (reading.kind != Reading::Kind::histogram) {
    AppendDouble(point.Key("asDouble"), sample.value);
    point.Close();
    return;
  }
  uint64_t count = 0;
  std::string& buckets = point.Key("bucketCounts");
  buckets += '[';
  for (const uint64_t n : sample.buckets) {
    count += n;
    if (buckets.back() != '[') buckets += ',';
    buckets.append("\"").append(std::to_string(n)).append("\"");
  }
  buckets += ']';
  std::string& bounds = point.Key("explicitBounds");
  bounds += '[';
  for (const double bound : reading.bounds) {
    if (bounds.back() != '[') bounds += ',';
    AppendDouble(bounds, bound);
  }
  bounds += ']';
  point.Text("count", std::to_string(count));
  AppendDouble(point.Key("sum"), sample.value);
  point.Close();
}

}  // namespace

std::string RenderMetrics(const std::vector<Reading>& readings, Nanos begun, Nanos now) {
  std::string out;
  for (const Reading& reading : readings) {
    if (reading.samples.empty()) continue;
    if (!out.empty()) out += ',';
    ObjectWriter metric(out);
    metric.Text("name", NameOf(reading.name));
    metric.Text("description", reading.help);
    if (reading.name.ends_with("_seconds")) metric.Text("unit", "s");
    if (reading.name.ends_with("_bytes")) metric.Text("unit", "By");
    ObjectWriter data(metric.Key(reading.kind == Reading::Kind::counter     ? "sum"
                                 : reading.kind == Reading::Kind::histogram ? "histogram"
                                                                            : "gauge"));
    std::string& points = data.Key("dataPoints");
    points += '[';
    for (const Reading::Sample& sample : reading.samples)
      AppendPoint(points, reading, sample, begun, now);
    points += ']';
    if (reading.kind != Reading::Kind::gauge) data.Number("aggregationTemporality", kCumulative);
    if (reading.kind == Reading::Kind::counter) data.Flag("isMonotonic", true);
    data.Close();
    metric.Close();
  }
  return out;
}

MetricsPush::MetricsPush(std::string name, std::string origin, std::chrono::milliseconds every,
                         MakeClient make, const obs::Registry& registry, const Clock& clock)
    : name_(std::move(name)),
      origin_(std::move(origin)),
      every_(every),
      make_(std::move(make)),
      registry_(registry),
      clock_(clock),
      begun_(clock.WallNow()),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

MetricsPush::~MetricsPush() = default;

std::string MetricsPush::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

void MetricsPush::Push(OtlpClient& client) {
  Result<> done = client.ReadHeaders();
  if (done) {
    const auto reply = client.Post(
        client.Wrap(origin_, RenderMetrics(registry_.Collect(), begun_, clock_.WallNow())));
    if (!reply)
      done = std::unexpected(reply.error());
    else if (reply->status < 200 || reply->status > 299)
      done = Fail(Errc::upstream_protocol, "HTTP " + std::to_string(reply->status));
    else if (reply->rejected > 0)
      done = Fail(Errc::upstream_protocol,
                  std::to_string(reply->rejected) + " data points were rejected");
  }
  const std::string trouble = done ? std::string() : done.error().detail;
  const std::lock_guard lock(mutex_);
  if (trouble == trouble_) return;
  trouble_ = trouble;
  if (trouble.empty())
    obs::Log(obs::Level::info, "export.delivers", {{"export", name_}});
  else
    obs::Log(obs::Level::warn, "export.failed", {{"export", name_}, {"detail", trouble}});
}

void MetricsPush::Run(const std::stop_token& stop) {
  OtlpClient client = make_(stop);
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    Push(client);
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, every_, [] { return false; });
  }
}

}  // namespace sallyport::exporting
