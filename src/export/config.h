#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "credential/config.h"
#include "secrets/source.h"

// The section `exports`; docs/configuration.md. The namespace is not called as the folder is: that
// is a keyword.

namespace sallyport::exporting {

/// How one entry of the log is written for others; docs/siem.md. `span`: as a span of OTLP, where
/// it is the end of an operation, else as nothing; not to be chosen, but what `traces` means.
enum class Format : uint8_t { ocsf, cef, ecs, json, span };

/// How a receiver that speaks HTTP may be reached (net/fetch.h). A receiver stands inside as a
/// rule: without `allow_addresses` private addresses may be connected to, with it only public ones
/// and those.
struct Reach {
  std::filesystem::path ca;
  std::vector<std::string> allow_addresses;
  bool operator==(const Reach&) const = default;
};

/// to.file: one event a line.
struct FileTarget {
  std::filesystem::path path;
  bool operator==(const FileTarget&) const = default;
};

/// to.syslog: RFC 5424, over TLS as RFC 5425, over TCP as RFC 6587 (octet counting).
struct SyslogTarget {
  std::string host;
  uint16_t port = 6514;
  bool tls = true;
  std::filesystem::path ca, client_cert;
  std::optional<secrets::Ref> client_key;  // a file
  /// Nothing confirms a line: what was under way when a connection broke is lost. So many entries
  /// are sent once more on the next one.
  uint32_t resend = 1'000;
  uint32_t line_bytes = 8'000;  // what is longer is cut, and says so
  bool operator==(const SyslogTarget&) const = default;
};

/// to.webhook: JSON lines by POST.
struct WebhookTarget {
  secrets::Ref url;
  std::optional<secrets::Ref> token;  // Authorization: Bearer
  std::optional<secrets::Ref> key;    // of the HMAC-SHA256 signature
  Reach reach;
  bool operator==(const WebhookTarget&) const = default;
};

/// to.splunk_hec: the HTTP Event Collector.
struct SplunkTarget {
  std::string url;  // without /services/collector
  secrets::Ref token;
  /// Indexer acknowledgement. Without it a 200 means only that the events looked valid.
  bool acknowledged = true;
  std::chrono::milliseconds ack_timeout{120'000};
  std::string index, sourcetype;  // empty: what the token says
  Reach reach;
  bool operator==(const SplunkTarget&) const = default;
};

/// to.otlp_http: OpenTelemetry, JSON encoding. An export has one signal; `signals: [traces, logs]`
/// makes two of it.
struct OtlpTarget {
  enum class Signal : uint8_t { logs, traces, metrics };

  std::string url;  // without /v1/logs
  Signal signal = Signal::logs;
  std::chrono::milliseconds every{60'000};  // metrics
  std::vector<std::pair<std::string, secrets::Ref>> headers;
  Reach reach;
  bool operator==(const OtlpTarget&) const = default;
};

/// to.kafka: one topic; every broker must have what was written (acks=all).
struct KafkaTarget {
  std::vector<std::string> brokers;  // HOST:PORT
  std::string topic;
  bool tls = true;
  std::filesystem::path ca, client_cert;
  std::optional<secrets::Ref> client_key;  // a file
  std::string username, mechanism = "SCRAM-SHA-512";
  std::optional<secrets::Ref> password;
  std::chrono::milliseconds timeout{30'000};  // of one batch
  bool operator==(const KafkaTarget&) const = default;
};

/// to.cloudwatch_logs: a stream of a group that is there.
struct CloudWatchTarget {
  std::string region, group, stream;
  std::string url;  // empty: the region's own
  credential::AwsKeys keys;
  credential::Reach reach;
  bool operator==(const CloudWatchTarget&) const = default;
};

using Target = std::variant<FileTarget, SyslogTarget, WebhookTarget, SplunkTarget, OtlpTarget,
                            KafkaTarget, CloudWatchTarget>;

/// What an export with `strict` may be behind; beyond it nothing is served.
struct Strict {
  std::chrono::milliseconds behind{300'000};
  uint64_t entries = 0;  // 0: any number
  bool operator==(const Strict&) const = default;
};

/// exports[]
struct Config {
  std::string name;
  Format format = Format::ocsf;
  Target to;
  bool from_now = false;  // of a new export: from the entries of now on; else from the first one
  std::chrono::milliseconds alarm_after{60'000};
  std::optional<Strict> strict;
  bool operator==(const Config&) const = default;
};

}  // namespace sallyport::exporting
