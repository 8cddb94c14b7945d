#include "base/network.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <string>

namespace sallyport {
namespace {

using Address = std::array<uint8_t, 16>;

std::optional<Address> ParseAddress(std::string_view text) {
  const std::string z(text);
  Address address{};
  if (inet_pton(AF_INET6, z.c_str(), address.data()) == 1) return address;
  address = {};
  address[10] = address[11] = 0xff;
  if (inet_pton(AF_INET, z.c_str(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

}  // namespace

std::optional<IpNetwork> IpNetwork::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto base = ParseAddress(text.substr(0, slash));
  if (!base) return std::nullopt;
  IpNetwork network;
  network.base_ = *base;
  if (slash == text.npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  const bool v4 = text.substr(0, slash).find(':') == text.npos;
  int bits = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc() || end != digits.data() + digits.size() || bits < 0 ||
      bits > (v4 ? 32 : 128))
    return std::nullopt;
  network.bits_ = v4 ? 96 + bits : bits;
  return network;
}

bool IpNetwork::Contains(std::string_view text) const {
  const auto address = ParseAddress(text);
  if (!address) return false;
  const int whole = bits_ / 8, rest = bits_ % 8;
  if (!std::equal(base_.begin(), base_.begin() + whole, address->begin())) return false;
  return rest == 0 || (((*address)[size_t(whole)] ^ base_[size_t(whole)]) >> (8 - rest)) == 0;
}

}  // namespace sallyport
