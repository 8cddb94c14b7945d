#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sallyport::app {

/// Where the parts of `sallyport dev` listen: six ports from a base. `postgres` is the gate's, for
/// clients; `database` the server's behind it.
struct DemoPorts {
  uint16_t gate, ops, issuer, payments, postgres, database;
  static DemoPorts From(uint16_t base) {
    const auto at = [base](int n) { return static_cast<uint16_t>(base + n); };
    return {at(0), at(1), at(2), at(3), at(4), at(5)};
  }
};

/// The configuration of `sallyport dev` as YAML: a real one, to read and to start from.
/// `credential` is the file with the demo server's own credential, `database_credential` that of
/// the database's administrator; empty: there is no database.
std::string DemoConfig(const DemoPorts& ports, const std::filesystem::path& state,
                       const std::string& issuer, const std::filesystem::path& credential,
                       const std::filesystem::path& database_credential);

}  // namespace sallyport::app
