#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/workers.h"
#include "base/task.h"
#include "credential/user_oauth.h"

namespace sallyport::api {

/// A connection that works with each person's own account of its upstream.
struct UpstreamLink {
  std::shared_ptr<credential::UserOauth> oauth;
  std::map<std::string, std::string> labels;  // of the connection, for the rules
};

/// What the pages of such accounts share: the connections, and threads for what blocks, so that a
/// slow authorization server delays nobody's login. Thread-safe.
class UpstreamLinks {
 public:
  explicit UpstreamLinks(std::vector<UpstreamLink> links) : links_(std::move(links)) {}

  const std::vector<UpstreamLink>& all() const { return links_; }
  const UpstreamLink* Find(std::string_view connection) const;
  /// Does `work` on a thread; limit_exceeded when many are waiting, upstream_timeout after 20 s.
  template <class T>
  Task<T> Do(std::function<Result<T>(std::stop_token)> work) {
    const auto made = std::make_shared<Result<T>>(Fail(Errc::upstream_timeout));
    SALLYPORT_CO_CHECK(co_await Run(
        [made, work = std::move(work), stop = stop_.get_token()] { *made = work(stop); }));
    co_return std::move(*made);
  }
  void Stop();

 private:
  Task<> Run(std::function<void()> work);

  const std::vector<UpstreamLink> links_;
  std::stop_source stop_;
  const std::shared_ptr<std::atomic<size_t>> waiting_ = std::make_shared<std::atomic<size_t>>(0);
  Workers workers_{2};
};

}  // namespace sallyport::api
