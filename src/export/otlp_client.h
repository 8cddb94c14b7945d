#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "export/config.h"
#include "export/deliveries.h"
#include "export/post.h"

namespace sallyport::exporting {

/// The names that one signal of the OpenTelemetry Protocol has for its lists.
struct OtlpNames {
  std::string_view path;      // of the URL, "/v1/logs"
  std::string_view resource;  // "resourceLogs"
  std::string_view scope;     // "scopeLogs"
  std::string_view records;   // "logRecords"
  std::string_view rejected;  // in partialSuccess
};

OtlpNames NamesOf(OtlpTarget::Signal signal);

/// Appends one element to a JSON list of attributes that is being written. The value of a number
/// is text, as 64-bit integers are in JSON Protobuf.
void AppendAttribute(std::string& list, std::string_view key, std::string_view value);
void AppendAttribute(std::string& list, std::string_view key, int64_t value);

/// Speaks OTLP 1.x over HTTP in JSON (opentelemetry.io/docs/specs/otlp) for one signal. One thread.
class OtlpClient {
 public:
  using Headers = std::vector<std::pair<std::string, ReadSecret>>;

  OtlpClient(const OtlpTarget& target, Headers headers, std::string version, Receiver receiver);

  /// Reads the secrets of the headers now. On failure the old ones stay.
  Result<> ReadHeaders();

  /// A request with `records`, the ready elements of the list, of the log `origin`.
  std::string Wrap(std::string_view origin, std::string_view records) const;

  struct Reply {
    int status = 200;
    uint64_t rejected = 0;  // of a 2xx
  };
  /// upstream_protocol: nobody knows what the receiver has taken.
  Result<Reply> Post(std::string body) const;

 private:
  const OtlpNames names_;
  std::string url_;
  const Headers read_headers_;
  const std::string version_;
  const Receiver receiver_;
  std::vector<std::pair<std::string, Secret>> headers_;
};

}  // namespace sallyport::exporting
