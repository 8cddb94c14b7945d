#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sallyport::app {

/// Where the parts of `sallyport dev` listen: five ports from a base.
struct DemoPorts {
  uint16_t gate, ops, issuer, payments;
  static DemoPorts From(uint16_t base) {
    return {base, static_cast<uint16_t>(base + 1), static_cast<uint16_t>(base + 2),
            static_cast<uint16_t>(base + 3)};
  }
};

/// The configuration of `sallyport dev` as YAML: a real one, to read and to start from.
/// `credential` is the file with the demo server's own credential.
std::string DemoConfig(const DemoPorts& ports, const std::filesystem::path& state,
                       const std::string& issuer, const std::filesystem::path& credential);

}  // namespace sallyport::app
