#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "approval/duties.h"

namespace sallyport::approval {

/// Since when each person and each of their groups are known here, so that nobody becomes an
/// approver in order to approve what is already waiting. Agents are not kept. Thread-safe.
class Sightings {
 public:
  /// A person as stored.
  struct Row {
    std::string issuer, subject;
    Known known;
  };

  void Load(Row row);
  /// Takes in that `who` is here now. A group that is gone is forgotten, so that coming back to it
  /// counts from then. The row, if something is new.
  std::optional<Row> See(const op::Principal& who, Nanos now);
  Known Of(const op::Principal& who) const;

 private:
  using Key = std::pair<std::string, std::string>;
  mutable std::mutex mutex_;
  std::map<Key, Known> persons_;
};

}  // namespace sallyport::approval
