#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "approval/request.h"
#include "base/result.h"

namespace sallyport::approval {

class Desk;

/// Waits for what becomes of one request, and can be woken for other reasons: the caller has
/// cancelled, went away, or has to be sent a sign of life. ONE shard; the desk must outlive the
/// shard's coroutines.
class Vigil {
 public:
  Vigil(const boost::asio::any_io_executor& executor, Desk& desk, std::string id);
  ~Vigil();
  Vigil(const Vigil&) = delete;

  /// Completes when the request is no longer pending, when Wake() was called since the last Rest,
  /// or after `limit`. One coroutine at a time.
  boost::asio::awaitable<void> Rest(std::chrono::milliseconds limit);
  void Wake();
  /// What it came to, an error of the desk (not_found) included; nullopt: pending still.
  std::optional<Result<State>> outcome() const;

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace sallyport::approval
