#include "state/writer.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sallyport::state {
namespace {

namespace asio = boost::asio;

constexpr size_t kBatch = 256;
constexpr size_t kMaxUnwaited = 65'536;
constexpr std::chrono::milliseconds kRetry{1000};

}  // namespace

struct Writer::Impl {
  struct Item {
    Work work;
    std::function<void(Result<>)> done;  // null: nobody waits
    Result<> outcome = {};
  };

  Result<std::unique_ptr<Database>> database = Fail(Errc::state_unavailable);
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<Item> queue;
  size_t unwaited = 0;
  std::string failure;
  bool closed = false;
  std::thread thread;

  void Add(Item item) {
    {
      std::unique_lock lock(mutex);
      if (!closed) {
        queue.push_back(std::move(item));
        lock.unlock();
        wake.notify_one();
        return;
      }
    }
    if (item.done) item.done(Fail(Errc::state_unavailable, "state: closed"));
  }

  void Loop();
  void Probe();
  void Run(std::vector<Item>& batch);
  Result<> RunOne(Database& db, Item& item);
};

/// One piece of work, undone on its own when it fails.
Result<> Writer::Impl::RunOne(Database& db, Item& item) {
  SALLYPORT_CHECK(db.Execute("SAVEPOINT work"));
  try {
    item.outcome = item.work(db);
  } catch (const std::exception& e) {
    item.outcome = Fail(Errc::internal, e.what());
  }
  if (!db.in_transaction()) return Fail(Errc::state_unavailable, "state: no space is left");
  if (!item.outcome) SALLYPORT_CHECK(db.Execute("ROLLBACK TO work"));
  return db.Execute("RELEASE work");
}

void Writer::Impl::Run(std::vector<Item>& batch) {
  Result<> whole = {};
  if (!database) {
    whole = std::unexpected(database.error());
  } else {
    Database& db = **database;
    whole = db.Execute("BEGIN IMMEDIATE");
    for (Item& item : batch) {
      if (whole) whole = RunOne(db, item);
    }
    if (whole) whole = db.Execute("COMMIT");
    if (!whole && db.in_transaction()) (void)db.Execute("ROLLBACK");
  }
  std::string trouble;
  for (Item& item : batch) {
    // What failed for a reason of its own is told that reason even if the rest came to nothing.
    if (!whole && item.outcome) item.outcome = whole;
    if (!item.outcome && item.outcome.error().code == Errc::state_unavailable)
      trouble = item.outcome.error().detail;
  }
  const std::lock_guard lock(mutex);
  failure = std::move(trouble);
}

/// After a failure: looks whether a page can be written again, so that health comes back unasked.
void Writer::Impl::Probe() {
  std::vector<Item> probe;
  probe.push_back({[](Database& db) { return db.Execute("PRAGMA user_version = 1"); }, nullptr});
  Run(probe);
}

void Writer::Impl::Loop() {
  std::unique_lock lock(mutex);
  std::vector<Item> retry;
  for (;;) {
    const auto ready = [this] { return closed || !queue.empty(); };
    if (failure.empty() || !database) {
      wake.wait(lock, ready);
    } else if (!wake.wait_for(lock, kRetry, ready) && retry.empty()) {
      lock.unlock();
      Probe();
      lock.lock();
      continue;
    }
    const bool last = closed;
    std::vector<Item> batch = std::exchange(retry, {});
    const size_t take = std::min(queue.size(), kBatch);
    for (size_t i = 0; i < take; ++i) batch.push_back(std::move(queue[i]));
    queue.erase(queue.begin(), queue.begin() + ptrdiff_t(take));
    lock.unlock();
    if (!batch.empty()) Run(batch);
    size_t ended = 0;
    for (Item& item : batch) {
      if (item.done) {
        item.done(std::move(item.outcome));
      } else if (!item.outcome && item.outcome.error().code == Errc::state_unavailable && !last) {
        item.outcome = {};
        retry.push_back(std::move(item));
      } else {
        ++ended;
      }
    }
    batch.clear();
    lock.lock();
    unwaited -= ended;
    if (last && queue.empty()) return;
  }
}

Writer::Writer(Result<std::unique_ptr<Database>> database) : impl_(std::make_shared<Impl>()) {
  if (!database) impl_->failure = database.error().detail;
  impl_->database = std::move(database);
  impl_->thread = std::thread([impl = impl_.get()] { impl->Loop(); });
}

Writer::~Writer() { Close(); }

Task<> Writer::Commit(Work work) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<>)>(
      [impl = impl_](auto handler, Work w) {
        using Handler = decltype(handler);
        auto held = std::make_shared<Handler>(std::move(handler));
        auto guard = asio::make_work_guard(asio::get_associated_executor(*held));
        impl->Add({std::move(w), [held, guard](Result<> r) mutable {
                     const auto executor = guard.get_executor();
                     asio::post(executor, [h = std::move(held), r = std::move(r)]() mutable {
                       std::move (*h)(std::move(r));
                     });
                     guard.reset();
                   }});
      },
      asio::use_awaitable, std::move(work));
}

Result<> Writer::CommitBlocking(Work work) {
  auto promise = std::make_shared<std::promise<Result<>>>();
  auto result = promise->get_future();
  impl_->Add({std::move(work), [promise](Result<> r) { promise->set_value(std::move(r)); }});
  return result.get();
}

bool Writer::Enqueue(Work work) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closed || impl_->unwaited >= kMaxUnwaited) return false;
    ++impl_->unwaited;
  }
  impl_->Add({std::move(work), nullptr});
  return true;
}

bool Writer::healthy() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->failure.empty();
}

std::string Writer::failure() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->failure;
}

void Writer::Close() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (std::exchange(impl_->closed, true)) return;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->database = Fail(Errc::state_unavailable, "state: closed");
}

}  // namespace sallyport::state
