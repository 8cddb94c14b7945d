#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sql/analyze.h"

namespace sallyport::sql {

/// Answers by text and by what its names mean: least recently used ones go first. Bounded in
/// entries and bytes. Thread-safe; nothing is computed under its lock.
template <class Value>
class LruCache {
 public:
  struct Key {
    uint64_t hash = 0;
    uint64_t catalog = 0;
    const std::vector<std::string>* search_path = nullptr;
    std::string_view text;
  };

  LruCache(size_t max_entries, size_t max_bytes)
      : max_entries_(max_entries), max_bytes_(max_bytes) {}

  Value Find(const Key& key) {
    std::lock_guard lock(mutex_);
    auto [at, end] = index_.equal_range(key.hash);
    for (; at != end; ++at) {
      auto entry = at->second;
      if (entry->catalog == key.catalog && entry->text == key.text &&
          entry->search_path == *key.search_path) {
        entries_.splice(entries_.begin(), entries_, entry);
        return entry->value;
      }
    }
    return {};
  }

  /// `bytes`: what the value holds beside the text.
  void Insert(const Key& key, Value value, size_t bytes) {
    bytes += key.text.size() + kEntryBytes;
    if (bytes > max_bytes_ / 16 || max_entries_ == 0) return;  // one giant must not empty the cache
    std::lock_guard lock(mutex_);
    entries_.push_front(
        {key.hash, key.catalog, *key.search_path, std::string(key.text), std::move(value), bytes});
    index_.emplace(key.hash, entries_.begin());
    bytes_ += bytes;
    while (entries_.size() > max_entries_ || bytes_ > max_bytes_) DropLast();
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  static constexpr size_t kEntryBytes = 512;
  struct Entry {
    uint64_t hash, catalog;
    std::vector<std::string> search_path;
    std::string text;
    Value value;
    size_t bytes;
  };

  void DropLast() {
    auto last = std::prev(entries_.end());
    auto [at, end] = index_.equal_range(last->hash);
    for (; at != end; ++at) {
      if (at->second == last) {
        index_.erase(at);
        break;
      }
    }
    bytes_ -= last->bytes;
    entries_.erase(last);
  }

  mutable std::mutex mutex_;
  std::list<Entry> entries_;
  std::unordered_multimap<uint64_t, typename std::list<Entry>::iterator> index_;
  size_t max_entries_, max_bytes_, bytes_ = 0;
};

}  // namespace sallyport::sql
