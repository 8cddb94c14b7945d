#include "ledger/search.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <memory>
#include <thread>

#include "ledger/file.h"
#include "ledger/render.h"

namespace sallyport::ledger {
namespace {

/// Renders entries with what they refer to; remembers the latest sessions.
class Renderer {
 public:
  explicit Renderer(LogReader& log) : log_(log) {}

  Result<Found> Render(uint64_t index) {
    SALLYPORT_TRY(const std::string bytes, log_.Read(index));
    Result<Entry> entry = DecodeEntry(bytes);
    if (!entry)
      return Found{index, "{\"index\":" + std::to_string(index) + ",\"event\":\"unreadable\"}"};
    SALLYPORT_TRY(const Held* session,
                  entry->has_session ? Get(sessions_, entry->session) : nullptr);
    const auto intent_index = entry->document.root()["i"].integer();
    SALLYPORT_TRY(const Held* intent, intent_index && *intent_index >= 0
                                          ? Get(intents_, uint64_t(*intent_index))
                                          : nullptr);
    return Found{index, RenderEntry(index, *entry, session == nullptr ? nullptr : &session->entry,
                                    intent == nullptr ? nullptr : &intent->entry)};
  }

 private:
  struct Held {
    uint64_t index;
    std::string bytes;
    Entry entry;
  };
  using Cache = std::list<Held>;

  /// Null if the entry that is referred to does not exist or cannot be read: then it is shown
  /// without it.
  Result<const Held*> Get(Cache& cache, uint64_t index) {
    for (const Held& held : cache) {
      if (held.index == index) return &held;
    }
    if (index >= log_.size()) return nullptr;
    SALLYPORT_TRY(std::string bytes, log_.Read(index));
    cache.push_front({index, std::move(bytes), {}});
    Result<Entry> entry = DecodeEntry(cache.front().bytes);
    if (!entry) {
      cache.pop_front();
      return nullptr;
    }
    cache.front().entry = *std::move(entry);
    if (cache.size() > 64) cache.pop_back();
    return &cache.front();
  }

  LogReader& log_;
  Cache sessions_, intents_;
};

}  // namespace

Result<std::vector<Found>> Search(const std::filesystem::path& data_dir,
                                  const SearchCriteria& criteria, uint64_t* matched) {
  SALLYPORT_TRY(LogReader log, LogReader::Open(data_dir));
  SALLYPORT_TRY(SearchIndex index, SearchIndex::Open(data_dir));
  SALLYPORT_CHECK(index.Update(log));
  SALLYPORT_TRY(const std::vector<uint64_t> indexes, index.Find(criteria));
  if (matched != nullptr) {
    *matched = indexes.size();
    if (indexes.size() >= criteria.limit) {
      SALLYPORT_TRY(*matched, index.Count(criteria));
    }
  }
  Renderer renderer(log);
  std::vector<Found> found;
  found.reserve(indexes.size());
  for (const uint64_t i : indexes) {
    SALLYPORT_TRY(Found f, renderer.Render(i));
    found.push_back(std::move(f));
  }
  return found;
}

Result<std::vector<Found>> ShowEntries(const std::filesystem::path& data_dir,
                                       const std::vector<uint64_t>& indexes) {
  SALLYPORT_TRY(LogReader log, LogReader::Open(data_dir));
  Renderer renderer(log);
  std::vector<Found> found;
  found.reserve(indexes.size());
  for (const uint64_t i : indexes) {
    SALLYPORT_TRY(Found f, renderer.Render(i));
    found.push_back(std::move(f));
  }
  return found;
}

Result<Found> ShowEntry(const std::filesystem::path& data_dir, uint64_t index) {
  SALLYPORT_TRY(LogReader log, LogReader::Open(data_dir));
  return Renderer(log).Render(index);
}

Result<> Tail(const std::filesystem::path& data_dir, uint64_t count, bool follow,
              const std::function<bool(const Found*)>& visit) {
  SALLYPORT_TRY(LogReader log, LogReader::Open(data_dir));
  Renderer renderer(log);
  uint64_t next = log.size() - std::min(log.size(), count);
  for (;;) {
    for (; next < log.size(); ++next) {
      SALLYPORT_TRY(const Found found, renderer.Render(next));
      if (!visit(&found)) return {};
    }
    if (!follow) return {};
    // A new checkpoint says that there is something new; only then the write-ahead log is read
    // again.
    for (std::string note = log.note(); note == log.note();) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      if (!visit(nullptr)) return {};
      const Result<std::string> now = ReadFile(data_dir / "log" / "checkpoint");
      if (now) note = *now;
    }
    SALLYPORT_CHECK(log.Refresh());
  }
}

}  // namespace sallyport::ledger
