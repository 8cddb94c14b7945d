#include "api/change_feed.h"

#include <algorithm>

namespace sallyport::api {

ChangeFeed::Place::~Place() {
  if (!follower_) return;
  const std::lock_guard lock(changes_->mutex_);
  std::erase(changes_->followers_, follower_);
  const auto at = changes_->per_person_.find(person_);
  if (at != changes_->per_person_.end() && --at->second == 0) changes_->per_person_.erase(at);
}

Result<ChangeFeed::Place> ChangeFeed::Follow(const std::shared_ptr<ChangeFeed>& self,
                                             const std::string& person,
                                             boost::asio::any_io_executor executor) {
  auto follower = std::make_shared<Follower>(std::move(executor));
  const std::lock_guard lock(self->mutex_);
  if (self->closed_) return Fail(Errc::draining, "the gateway is going down");
  size_t& mine = self->per_person_[person];
  if (mine >= kPerPerson || self->followers_.size() >= kFollowers)
    return Fail(Errc::limit_exceeded, "too many pages follow the requests");
  ++mine;
  self->followers_.push_back(follower);
  return Place(self, person, std::move(follower));
}

void ChangeFeed::Tell(const approval::Request& request) {
  std::vector<std::shared_ptr<Follower>> followers;
  {
    const std::lock_guard lock(mutex_);
    followers = followers_;
  }
  if (followers.empty()) return;
  const auto change = std::make_shared<const approval::Request>(request);
  for (const auto& follower : followers) {
    net::Post(follower->executor, [follower, change] {
      if (!follower->queue.Push(change)) follower->queue.Close();
    });
  }
}

void ChangeFeed::Close() {
  std::vector<std::shared_ptr<Follower>> followers;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    followers = followers_;
  }
  for (const auto& follower : followers)
    net::Post(follower->executor, [follower] { follower->queue.Close(); });
}

}  // namespace sallyport::api
