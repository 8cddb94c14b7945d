#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/task.h"
#include "state/writer.h"

namespace sallyport::access {

/// How often the limits of sessions have let an operation through (policy::Grant). A use is durable
/// before Take returns, so no restart gives one back. Thread-safe; table `session_use` of the
/// state.
class Uses {
 public:
  /// Reads what is kept, and forgets it of sessions that are no more. If that cannot be read,
  /// nothing that is counted is let through. `writer` must outlive it.
  explicit Uses(state::Writer& writer);

  /// One more use of a session's limit that has `most`: grant_exceeded if there is none left,
  /// state_unavailable. A use that could not be made durable stays counted.
  Task<> Take(std::string session, uint32_t limit, uint32_t most);
  uint32_t Used(const std::string& session, uint32_t limit) const;

 private:
  state::Writer& writer_;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, uint32_t>, uint32_t> used_;
  Result<> loaded_;
};

}  // namespace sallyport::access
