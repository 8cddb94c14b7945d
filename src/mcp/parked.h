#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mcp/caller_load.h"
#include "mcp/upstream.h"
#include "net/event.h"

namespace sallyport::mcp {

struct Call;

/// A call of a modern client that stands still in the middle: the session-era upstream has asked
/// the client something, the client got `input_required`, and its repeated request will bring the
/// answer.
struct Parked {
  explicit Parked(boost::asio::any_io_executor executor) : answered(executor) {}
  std::shared_ptr<Call> call;
  std::string binding;   // who may resume it, with which request
  std::string key;       // of the one input request
  std::string question;  // its request object
  LoadSlot slot;
  net::Event answered;
  std::optional<UpstreamAnswer> answer;
};

/// The parked calls of one shard, by an unguessable id. ONE shard.
class ParkedTable {
 public:
  void Insert(const std::string& id, std::shared_ptr<Parked> parked) {
    calls_[id] = std::move(parked);
  }
  /// Takes it out: an id is good for one use.
  std::shared_ptr<Parked> Take(const std::string& id) {
    const auto it = calls_.find(id);
    if (it == calls_.end()) return nullptr;
    std::shared_ptr<Parked> parked = std::move(it->second);
    calls_.erase(it);
    return parked;
  }
  void Remove(const Parked* parked) {
    std::erase_if(calls_, [&](const auto& entry) { return entry.second.get() == parked; });
  }
  void WakeAll() {
    for (auto& [id, parked] : calls_) parked->answered.Set();
    calls_.clear();
  }
  size_t size() const { return calls_.size(); }

 private:
  std::map<std::string, std::shared_ptr<Parked>> calls_;
};

}  // namespace sallyport::mcp
