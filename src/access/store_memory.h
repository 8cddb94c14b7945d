#pragma once

#include <map>
#include <mutex>

#include "access/store.h"

namespace sallyport::access {

/// What a store has to do, without a disk: for tests, where one object that outlives two Sessions
/// is a restart.
class MemoryStore final : public Store {
 public:
  Result<Loaded> Load() override {
    const std::lock_guard lock(mutex_);
    Loaded loaded{.sessions = {}, .revocations = revocations_};
    for (const auto& [id, row] : sessions_) loaded.sessions.push_back(row);
    return loaded;
  }
  Task<> Put(Row row) override {
    if (broken) co_return Fail(Errc::state_unavailable);
    const std::lock_guard lock(mutex_);
    sessions_[row.session.id] = std::move(row);
    co_return Result<>{};
  }
  Task<> Put(RevocationRow row) override {
    if (broken) co_return Fail(Errc::state_unavailable);
    const std::lock_guard lock(mutex_);
    revocations_.push_back(std::move(row));
    co_return Result<>{};
  }
  Task<> Put(std::vector<Mark> marks) override {
    if (broken) co_return Fail(Errc::state_unavailable);
    Note(std::move(marks));
    co_return Result<>{};
  }
  void Note(std::vector<Mark> marks) override {
    const std::lock_guard lock(mutex_);
    for (const Mark& mark : marks) {
      Row& row = sessions_[mark.id];
      row.state = mark.state;
      row.worked_at = mark.worked_at;
      row.ended_at = mark.ended_at;
    }
  }
  void Forget(std::vector<std::string> sessions, Nanos before) override {
    const std::lock_guard lock(mutex_);
    for (const std::string& id : sessions) sessions_.erase(id);
    std::erase_if(revocations_, [&](const RevocationRow& row) { return row.at < before; });
  }

  bool broken = false;

 private:
  std::mutex mutex_;
  std::map<std::string, Row> sessions_;
  std::vector<RevocationRow> revocations_;
};

}  // namespace sallyport::access
