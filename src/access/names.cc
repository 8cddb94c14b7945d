#include "access/names.h"

#include <algorithm>
#include <mutex>

namespace sallyport::access {
namespace {

std::string KeyOf(std::string_view issuer, std::string_view name) {
  std::string key(issuer);
  key += '\n';
  for (const char c : name) key += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return key;
}

}  // namespace

void Names::Saw(std::string_view issuer, std::string_view subject, std::string_view name,
                Nanos now) {
  if (name.empty() || subject.empty()) return;
  const std::unique_lock lock(mutex_);
  auto& subjects = seen_[KeyOf(issuer, name)];
  if (const auto known = subjects.find(subject); known != subjects.end()) {
    known->second = std::max(known->second, now);
    return;
  }
  if (size_ >= kMost) {
    lost_at_ = std::max(lost_at_, now);
    if (subjects.empty()) seen_.erase(KeyOf(issuer, name));
    return;
  }
  subjects.emplace(subject, now);
  ++size_;
}

Result<std::vector<std::string>> Names::Find(std::string_view issuer, std::string_view name) const {
  const std::shared_lock lock(mutex_);
  if (lost_at_ != 0)
    return Fail(Errc::limit_exceeded, "more people than are kept: the name may be of another too");
  std::vector<std::string> subjects;
  if (const auto found = seen_.find(KeyOf(issuer, name)); found != seen_.end()) {
    for (const auto& [subject, at] : found->second) subjects.push_back(subject);
  }
  return subjects;
}

void Names::Forget(Nanos before) {
  const std::unique_lock lock(mutex_);
  for (auto& [key, subjects] : seen_)
    size_ -= std::erase_if(subjects, [&](const auto& one) { return one.second < before; });
  std::erase_if(seen_, [](const auto& one) { return one.second.empty(); });
  if (lost_at_ < before) lost_at_ = 0;
}

}  // namespace sallyport::access
