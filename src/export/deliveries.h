#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "export/config.h"
#include "export/delivery.h"
#include "export/post.h"

// The kinds of delivery, docs/siem.md. Each is made on the thread that uses it.

namespace sallyport::exporting {

/// Reads a secret now: it may have been rotated.
using ReadSecret = std::function<Result<Secret>()>;

/// Appends lines to a file, and syncs it before they count. Begins a new file when somebody has
/// moved the old one away. What a crash or a full disk has left of a line is taken away again. The
/// directory has to be there.
std::unique_ptr<Delivery> MakeFileDelivery(FileTarget target);

/// RFC 5424 in the framing of RFC 5425 and RFC 6587 (octet counting), over TLS or TCP.
std::unique_ptr<Delivery> MakeSyslogDelivery(SyslogTarget target, std::stop_token stop);
/// What an event may have of `line_bytes` of a syslog line.
size_t SyslogEventBytes(uint32_t line_bytes);

/// JSON lines by POST; 2xx takes them all. With a key they are signed as approval webhooks are.
Result<std::unique_ptr<Delivery>> MakeWebhookDelivery(Receiver receiver, ReadSecret url,
                                                      ReadSecret token, ReadSecret key);

/// Splunk's HTTP Event Collector. `json`: the events are JSON objects, not text.
Result<std::unique_ptr<Delivery>> MakeSplunkDelivery(SplunkTarget target, bool json,
                                                     Receiver receiver, ReadSecret token,
                                                     const Clock& clock = SystemClock());

/// OTLP/HTTP logs or traces in JSON (OpenTelemetry protocol 1.x), `partialSuccess` included. The
/// events of traces are made with Format::span; empty ones are passed over.
Result<std::unique_ptr<Delivery>> MakeOtlpDelivery(
    const OtlpTarget& target, std::vector<std::pair<std::string, ReadSecret>> headers,
    std::string version, Receiver receiver, const Clock& clock = SystemClock());

/// Apache Kafka: confirmed when all in-sync replicas have it. `password` may be empty.
std::unique_ptr<Delivery> MakeKafkaDelivery(KafkaTarget target, ReadSecret password,
                                            std::stop_token stop);

/// Amazon CloudWatch Logs, PutLogEvents: confirmed by its answer, which names what is too old.
std::unique_ptr<Delivery> MakeCloudWatchDelivery(const CloudWatchTarget& target, Receiver receiver,
                                                 const Clock& clock = SystemClock());

}  // namespace sallyport::exporting
