#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/types.h>

#include "base/result.h"

namespace sallyport::app {

/// The throw-away PostgreSQL server of `sallyport dev`: made with initdb, on 127.0.0.1 only, with
/// the database "orders" and its table public.payments(id, customer, card_number, cvv, amount,
/// currency, created_at), a few thousand synthetic rows whose card numbers are published test
/// numbers. Its one login is the gate's administrator, a role that may create roles and owns the
/// table; the superuser cannot log in. It dies with this process.
class DemoDatabase {
 public:
  /// The directory of the newest initdb and postgres: Debian's places, then PATH. Empty: none.
  static std::filesystem::path FindBinaries();

  /// Keeps its data in `directory` (made if needed, used again if it is there). Root cannot run
  /// PostgreSQL: then it runs as the user postgres, or nobody. io_failed with the reason.
  static Result<std::unique_ptr<DemoDatabase>> Start(const std::filesystem::path& binaries,
                                                     const std::filesystem::path& directory,
                                                     uint16_t port);
  ~DemoDatabase();  // stops it, in about a second
  DemoDatabase(const DemoDatabase&) = delete;

  static constexpr const char* kDatabase = "orders";
  static constexpr const char* kAdmin = "sallyport_admin";
  uint16_t port() const { return port_; }
  /// File with the administrator's password, readable by this user only.
  const std::filesystem::path& password_file() const { return password_file_; }

 private:
  DemoDatabase() = default;
  Result<> Create(const std::string& password) const;
  Result<> Load(const std::string& database, const std::string& sql) const;
  Result<> Serve();

  struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    bool change = false;
  };
  std::filesystem::path binaries_, directory_, data_, password_file_;
  User user_;
  uint16_t port_ = 0;
  pid_t server_ = -1;
};

}  // namespace sallyport::app
