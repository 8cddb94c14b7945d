#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "approval/request.h"
#include "net/event.h"

namespace sallyport::api {

/// Carries changes of requests to the pages that look at them. Thread-safe; a follower lives on one
/// shard.
class ChangeFeed {
 public:
  using Change = std::shared_ptr<const approval::Request>;
  static constexpr size_t kQueue = 256;       // changes that a page has not taken yet
  static constexpr size_t kPerPerson = 16;    // pages of one person
  static constexpr size_t kFollowers = 2000;  // of all

  /// One page. A queue that is full is closed: the page loads everything again.
  struct Follower {
    explicit Follower(boost::asio::any_io_executor e) : executor(e), queue(std::move(e), kQueue) {}
    boost::asio::any_io_executor executor;
    net::Queue<Change> queue;
  };

  /// Ends the following when it dies.
  class Place {
   public:
    Place(std::shared_ptr<ChangeFeed> changes, std::string person,
          std::shared_ptr<Follower> follower)
        : changes_(std::move(changes)),
          person_(std::move(person)),
          follower_(std::move(follower)) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place();
    Follower& operator*() const { return *follower_; }

   private:
    std::shared_ptr<ChangeFeed> changes_;
    std::string person_;
    std::shared_ptr<Follower> follower_;
  };

  /// limit_exceeded. `self` is this object.
  static Result<Place> Follow(const std::shared_ptr<ChangeFeed>& self, const std::string& person,
                              boost::asio::any_io_executor executor);
  /// To be called with every change, on any thread.
  void Tell(const approval::Request& request);
  /// Ends all followers: the gateway goes down.
  void Close();

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<std::shared_ptr<Follower>> followers_;
  std::map<std::string, size_t> per_person_;
};

}  // namespace sallyport::api
