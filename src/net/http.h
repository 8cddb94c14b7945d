#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport {
struct ClientCertificate;
}

namespace sallyport::net {

/// Header fields in order of arrival. Names compare without case (RFC 9110 section 5.1); values
/// have no leading or trailing white space and no control characters (the parser refuses those).
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  void Add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  void Reserve(size_t n) { fields_.reserve(n); }
  /// The value of the first field of that name.
  std::optional<std::string_view> Find(std::string_view name) const;
  /// How often the field occurs: a singleton that occurs twice has to be refused by its reader.
  size_t Count(std::string_view name) const;
  void Remove(std::string_view name);
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

bool SameName(std::string_view a, std::string_view b);

/// A request as a server received it, whole.
struct HttpRequest {
  std::string method;
  std::string target;  // origin form: path and query, as sent
  Headers headers;
  std::string body;
  std::string address;  // of the peer, no port
  bool tls = false;
  /// By which the client has proved itself in the handshake; null: it has not.
  std::shared_ptr<const ClientCertificate> certificate;

  std::string_view path() const;   // target without the query
  std::string_view query() const;  // without '?'
};

/// Bounds of one HTTP server (I8). All come from the configuration.
struct HttpLimits {
  uint32_t header_bytes = 32 << 10;
  uint64_t body_bytes = 4 << 20;
  uint32_t header_timeout_ms = 10'000;  // from the first byte (or accept) to the end of the head
  uint32_t body_timeout_ms = 30'000;    // for the whole body
  uint32_t idle_timeout_ms = 75'000;    // keep-alive between requests
  uint32_t write_timeout_ms = 30'000;   // a client that does not read
  uint32_t connections = 10'000;
  uint32_t connections_per_address = 0;  // 0: no such limit
};

}  // namespace sallyport::net
