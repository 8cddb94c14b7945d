#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "export/delivery.h"
#include "export/spool.h"

namespace sallyport::exporting {

/// How far an export has come: `<data_dir>/state/exports/<name>.cursor`, and beside it, in
/// `<name>.parked`, the entries that its receiver refused. Not thread-safe.
class Cursor {
 public:
  /// Reads what is kept of an earlier run. A new export begins with the first entry, or behind the
  /// last one with `from_now`. Refused, because entries would silently be left out or sent as
  /// others: a cursor of another log, beyond its end, or behind an entry that is not the one it
  /// was; and a file that is no cursor.
  static Result<Cursor> Open(const std::filesystem::path& data_dir, const std::string& name,
                             Spool& spool, bool from_now);

  uint64_t next() const { return next_; }
  /// Survives a power cut when it returns. REQUIRES that everything below `next` is with the
  /// receiver or parked.
  Result<> Save(uint64_t next, Spool& spool);
  /// Writes down what will not be sent again; survives a power cut when it returns. An entry may
  /// stand there more than once.
  Result<> Park(std::string_view origin, const std::vector<Refused>& refused);

 private:
  Cursor(std::filesystem::path file, std::filesystem::path parked)
      : file_(std::move(file)), parked_(std::move(parked)) {}
  Result<> Load(std::string_view text, Spool& spool);

  std::filesystem::path file_, parked_;
  uint64_t next_ = 0;
};

}  // namespace sallyport::exporting
