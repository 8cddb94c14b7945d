#include "pg/cancel_keys.h"

#include <mutex>
#include <new>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <unordered_map>
#include <utility>

#include "net/event.h"
#include "obs/metrics.h"

namespace sallyport::pg {
namespace {

constexpr size_t kShortKey = 4, kLongKey = 32;

/// Lives on its session's shard, but for `key` and `executor`, which never change.
struct Holder {
  std::string key;
  boost::asio::any_io_executor executor;
  std::function<void()> cancel;
};

std::string RandomKey(uint32_t minor) {
  std::string key(minor >= 2 ? kLongKey : kShortKey, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), int(key.size())) != 1)
    throw std::bad_alloc();  // the system has no randomness: nothing of ours may go on
  return key;
}

void Count(bool right) {
  static auto& family =
      obs::Metrics().counters("sallyport_postgres_cancel_requests_total",
                              "CancelRequests by whether their key was right", {"key"});
  static auto &good = family.With({"right"}), &bad = family.With({"wrong"});
  (right ? good : bad).Add();
}

}  // namespace

struct CancelKeys::State {
  mutable std::mutex mutex;
  std::unordered_multimap<uint32_t, std::shared_ptr<Holder>> holders;
};

CancelKeys::CancelKeys() : state_(std::make_shared<State>()) {}
CancelKeys::~CancelKeys() = default;

std::unique_ptr<CancelKeys::Ticket> CancelKeys::Issue(uint32_t pid, uint32_t minor,
                                                      boost::asio::any_io_executor executor,
                                                      std::function<void()> cancel) {
  class Issued final : public Ticket {
   public:
    Issued(std::shared_ptr<State> state, uint32_t pid, std::shared_ptr<Holder> holder)
        : state_(std::move(state)), pid_(pid), holder_(std::move(holder)) {
      std::lock_guard lock(state_->mutex);
      state_->holders.emplace(pid_, holder_);
    }
    ~Issued() override {
      // A function that was posted finds nothing to call.
      holder_->cancel = nullptr;
      std::lock_guard lock(state_->mutex);
      const auto [from, to] = state_->holders.equal_range(pid_);
      for (auto at = from; at != to; ++at) {
        if (at->second == holder_) {
          state_->holders.erase(at);
          return;
        }
      }
    }
    const std::string& key() const override { return holder_->key; }

   private:
    const std::shared_ptr<State> state_;
    const uint32_t pid_;
    const std::shared_ptr<Holder> holder_;
  };
  return std::make_unique<Issued>(
      state_, pid,
      std::make_shared<Holder>(RandomKey(minor), std::move(executor), std::move(cancel)));
}

bool CancelKeys::Cancel(const CancelRequest& request) {
  std::shared_ptr<Holder> found;
  {
    std::lock_guard lock(state_->mutex);
    const auto [from, to] = state_->holders.equal_range(request.pid);
    for (auto at = from; at != to; ++at) {
      const std::string& key = at->second->key;
      if (key.size() == request.key.size() &&
          CRYPTO_memcmp(key.data(), request.key.data(), key.size()) == 0)
        found = at->second;
    }
  }
  Count(found != nullptr);
  if (!found) return false;
  const auto executor = found->executor;
  net::Post(executor, [found = std::move(found)] {
    // By value: it may end the session, and with it this function.
    if (const auto cancel = found->cancel) cancel();
  });
  return true;
}

size_t CancelKeys::size() const {
  std::lock_guard lock(state_->mutex);
  return state_->holders.size();
}

}  // namespace sallyport::pg
