#include "app/exports.h"

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "export/deliveries.h"
#include "export/metrics_push.h"
#include "export/otlp_client.h"
#include "net/fetch.h"
#include "obs/metrics.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

using namespace exporting;
using std::chrono::milliseconds;

ReadSecret Reading(const secrets::Ref& ref) {
  return [ref] { return secrets::Resolve(ref); };
}

ReadSecret Reading(const std::optional<secrets::Ref>& ref) {
  return ref ? Reading(*ref) : ReadSecret();
}

OtlpClient::Headers HeadersOf(const OtlpTarget& otlp) {
  OtlpClient::Headers headers;
  for (const auto& [name, ref] : otlp.headers) headers.emplace_back(name, Reading(ref));
  return headers;
}

Result<std::unique_ptr<Delivery>> MakeDelivery(const Config& config, const std::stop_token& stop) {
  const auto receiver = [&](const Reach& reach, bool plain) {
    return Receiver{plain ? net::FetchPlainUrl : net::FetchUrl, reach, stop};
  };
  if (const auto* file = std::get_if<FileTarget>(&config.to)) return MakeFileDelivery(*file);
  if (const auto* syslog = std::get_if<SyslogTarget>(&config.to))
    return MakeSyslogDelivery(*syslog, stop);
  if (const auto* webhook = std::get_if<WebhookTarget>(&config.to)) {
    return MakeWebhookDelivery(receiver(webhook->reach, false), Reading(webhook->url),
                               Reading(webhook->token), Reading(webhook->key));
  }
  if (const auto* splunk = std::get_if<SplunkTarget>(&config.to)) {
    return MakeSplunkDelivery(*splunk, config.format != Format::cef, receiver(splunk->reach, false),
                              Reading(splunk->token));
  }
  if (const auto* kafka = std::get_if<KafkaTarget>(&config.to))
    return MakeKafkaDelivery(*kafka, Reading(kafka->password), stop);
  if (const auto* logs = std::get_if<CloudWatchTarget>(&config.to))
    return MakeCloudWatchDelivery(*logs, Receiver{net::FetchUrl, {}, stop});
  const auto& otlp = std::get<OtlpTarget>(config.to);
  return MakeOtlpDelivery(otlp, HeadersOf(otlp), SALLYPORT_VERSION, receiver(otlp.reach, true));
}

/// The figures of the process, where an export has them as its signal.
std::unique_ptr<MetricsPush> MakePush(const Config& config, const std::string& origin) {
  const auto* otlp = std::get_if<OtlpTarget>(&config.to);
  if (otlp == nullptr || otlp->signal != OtlpTarget::Signal::metrics) return nullptr;
  return std::make_unique<MetricsPush>(
      config.name, origin, otlp->every, [otlp = *otlp](std::stop_token stop) {
        return OtlpClient(otlp, HeadersOf(otlp), SALLYPORT_VERSION,
                          Receiver{net::FetchPlainUrl, otlp.reach, std::move(stop)});
      });
}

Exporter::Options OptionsOf(const Config& config, const std::filesystem::path& data_dir) {
  Exporter::Options options;
  options.name = config.name;
  options.data_dir = data_dir;
  options.style = {.format = config.format, .version = SALLYPORT_VERSION};
  options.from_now = config.from_now;
  if (const auto* syslog = std::get_if<SyslogTarget>(&config.to))
    options.style.max_bytes = SyslogEventBytes(syslog->line_bytes);
  return options;
}

}  // namespace

struct Exports::Export {
  Export(const Config& c, const std::filesystem::path& data_dir)
      : config(c), exporter(OptionsOf(c, data_dir), [c](const std::stop_token& stop) {
          return MakeDelivery(c, stop);
        }) {}

  const Config config;
  Exporter exporter;
};

Exports::Exports(const std::vector<Config>& configs, const std::filesystem::path& data_dir,
                 const ledger::Ledger& ledger)
    : ledger_(ledger) {
  for (const Config& config : configs) {
    if (auto push = MakePush(config, ledger.origin()))
      pushes_.push_back(std::move(push));
    else
      exports_.push_back(std::make_unique<Export>(config, data_dir));
  }
}

Exports::~Exports() = default;

Exports::Lag Exports::LagOf(const Export& e) const {
  const Status status = e.exporter.status();
  Lag lag;
  const uint64_t size = ledger_.stats().published;
  lag.entries = size - std::min(size, status.confirmed);
  if (lag.entries > 0 && status.waiting_since) {
    lag.seconds =
        std::max(0.0, double(SystemClock().WallNow() - *status.waiting_since) / 1'000'000'000);
  }
  return lag;
}

std::string Exports::Describe(const Export& e, const Lag& lag) const {
  std::string text = std::to_string(lag.entries) + " entries and " +
                     std::to_string(uint64_t(lag.seconds)) + " s behind";
  const Status status = e.exporter.status();
  if (status.parked > 0) text += ", " + std::to_string(status.parked) + " refused by the receiver";
  if (!status.trouble.empty()) text += ": " + status.trouble;
  return text;
}

std::vector<ReadyCheck> Exports::Checks() const {
  std::vector<ReadyCheck> checks;
  for (const auto& e : exports_) {
    const Lag lag = LagOf(*e);
    const auto longer_than = [&](milliseconds limit) {
      return lag.seconds * 1000 > double(limit.count());
    };
    const std::optional<Strict>& strict = e->config.strict;
    const bool too_far = strict && (longer_than(strict->behind) ||
                                    (strict->entries > 0 && lag.entries > strict->entries));
    const bool ok = !too_far && !longer_than(e->config.alarm_after);
    std::string detail = Describe(*e, lag);
    if (too_far) detail += "; nothing is served until it has caught up (strict)";
    // A receiver that is down is not the gateway's fault, and no reason to take it out of service,
    // unless the configuration says so.
    checks.push_back({"export " + e->config.name, ok, std::move(detail), !too_far});
  }
  return checks;
}

void Exports::DeclareMetrics() const {
  if (exports_.empty()) return;
  obs::Registry& m = obs::Metrics();
  const auto by_export = [&](std::string_view name, std::string_view help, auto read) {
    m.ObserveBy(name, help, "export", [this, read] {
      std::map<std::string, double> samples;
      for (const auto& e : exports_) samples[e->config.name] = read(*this, *e);
      return samples;
    });
  };
  by_export("sallyport_export_behind_entries",
            "Published entries that the receiver has not confirmed",
            [](const Exports& self, const Export& e) { return double(self.LagOf(e).entries); });
  by_export("sallyport_export_behind_seconds", "Age of the oldest of them",
            [](const Exports& self, const Export& e) { return self.LagOf(e).seconds; });
  by_export("sallyport_export_events_total", "Events that were handed over, repeated ones too",
            [](const Exports&, const Export& e) { return double(e.exporter.status().sent); });
  by_export("sallyport_export_parked_total", "Entries that the receiver has refused for good",
            [](const Exports&, const Export& e) { return double(e.exporter.status().parked); });
  by_export("sallyport_export_failures_total", "Deliveries that failed and are repeated",
            [](const Exports&, const Export& e) { return double(e.exporter.status().failures); });
}

void Exports::Stop(milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + grace;
  for (const auto& e : exports_) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    e->exporter.Stop(std::max(left, milliseconds(0)));
  }
}

}  // namespace sallyport::app
