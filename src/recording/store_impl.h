#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "recording/store.h"

namespace sallyport::recording {

struct Store::Segment {
  std::string name;  // "2026-11-22/0001"
  std::filesystem::path path;
  Descriptor file;
  uint64_t end = 0;  // under the store's mutex
  std::atomic<bool> dirty = false;
};

struct Store::Session {
  Session(std::string i, const Key& key) : id(std::move(i)), gcm(key) {}
  const std::string id;  // of its key
  std::mutex mutex;
  Gcm gcm;
  uint64_t streams = 0;
};

struct Store::Day {
  std::string name;
  std::filesystem::path dir;
  Key key;
  Descriptor keys;  // sessions.keys
  uint64_t keys_end = 0;
  std::atomic<bool> dirty = false;  // the same
  std::unordered_map<std::string, std::shared_ptr<Session>> sessions;
  std::shared_ptr<Segment> segment;  // null: none begun yet
  unsigned segments = 0;             // that have had a number
};

}  // namespace sallyport::recording
