#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sallyport {

/// A network of addresses, "10.1.0.0/16", "fd00::/8", or a single address. IPv4 inside IPv6
/// (::ffff:a.b.c.d) is the IPv4 address.
class IpNetwork {
 public:
  /// nullopt: neither an address nor a CIDR.
  static std::optional<IpNetwork> Parse(std::string_view text);
  /// False also for what is no address.
  bool Contains(std::string_view address) const;

 private:
  std::array<uint8_t, 16> base_{};
  int bits_ = 128;
};

}  // namespace sallyport
