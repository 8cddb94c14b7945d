#include "net/shards.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#include "net/exception.h"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

/// Lets the shard's own thread destroy what waits, while the sockets that others still own stay
/// valid until the context itself dies with Shards.
class Context : public asio::io_context {
 public:
  Context() : asio::io_context(1) {}
  void Shutdown() { shutdown(); }
};

struct Shard {
  Context context;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
};

thread_local const void* current_owner = nullptr;
thread_local size_t current_index = 0;

/// What a handler throws ends that handler, not the shard.
void RunLoop(Context& context) {
  for (;;) {
    try {
      context.run();
      return;
    } catch (...) {
      ReportException(std::current_exception(), "net.exception");
    }
  }
}

}  // namespace

struct Shards::Impl {
  std::vector<std::unique_ptr<Shard>> shards;
  bool stopped = false;
};

Shards::Shards(size_t count) : impl_(std::make_unique<Impl>()) {
  for (size_t i = 0; i < std::max<size_t>(count, 1); ++i)
    impl_->shards.push_back(std::make_unique<Shard>());
}

Shards::~Shards() { Stop(); }

size_t Shards::size() const { return impl_->shards.size(); }

asio::any_io_executor Shards::executor(size_t shard) const {
  return impl_->shards.at(shard)->context.get_executor();
}

size_t Shards::current() const { return current_owner == impl_.get() ? current_index : size(); }

void Shards::Start() {
  for (size_t i = 0; i < size(); ++i) {
    Shard& shard = *impl_->shards[i];
    if (shard.thread.joinable()) continue;
    shard.thread = std::thread([impl = impl_.get(), &shard, i] {
      current_owner = impl, current_index = i;
      pthread_setname_np(pthread_self(), ("shard-" + std::to_string(i)).c_str());
      RunLoop(shard.context);
      shard.context.Shutdown();
    });
  }
}

void Shards::Stop() {
  if (std::exchange(impl_->stopped, true)) return;
  for (auto& shard : impl_->shards) shard->context.stop();
  for (auto& shard : impl_->shards) {
    if (shard->thread.joinable()) {
      shard->thread.join();
    } else {
      shard->context.Shutdown();  // never started
    }
  }
}

}  // namespace sallyport::net
