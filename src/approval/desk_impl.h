#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "approval/desk.h"
#include "approval/sightings.h"
#include "approval/waiters.h"
#include "approval/wall.h"

namespace sallyport::approval {

/// The desk's inside. Everything below `mutex` is guarded by it; no lock is held across an await.
///
/// Whoever changes a request has its turn (`Item::busy`) from the check to the end of recording and
/// commit; others wait for it, redemptions are refused at once. So what was checked still holds
/// when it is applied.
struct Desk::Impl : std::enable_shared_from_this<Desk::Impl> {
  struct Item {
    Request request;
    std::string key;    // the same operation of the same caller
    bool busy = false;  // somebody has the turn
    std::set<std::string> viewers;
    std::optional<std::string> doom;  // to be withdrawn as soon as the turn is over
    Waiters waiters;
  };
  using ItemPtr = std::shared_ptr<Item>;
  /// Of one caller.
  struct Load {
    size_t open = 0;
    size_t filed = 0;  // since `since`
    Nanos since = 0;
  };

  Impl(state::Writer& w, state::Sealer s, Recorder r, Options o, const Clock& c)
      : state(w), sealer(std::move(s)), recorder(std::move(r)), wall(c), options(std::move(o)) {}

  state::Writer& state;
  const state::Sealer sealer;
  const Recorder recorder;
  Wall wall;
  Sightings sightings;

  mutable std::mutex mutex;
  Options options;
  std::optional<Error> broken;  // why nothing could be loaded
  std::unordered_map<std::string, ItemPtr> by_id;
  std::unordered_map<std::string, ItemPtr> by_key;  // being filed, open, or denied and not run out
  std::map<std::string, Load> callers;
  std::deque<ItemPtr> ended;  // oldest first; kept for a while, for lists
  size_t open = 0;
  std::string policy_version;  // in force; empty: not told yet
  Nanos pruned = 0;
  std::vector<std::function<void(const Request&)>> listeners;

  /// The turn of one request; gives it up when it dies, however its coroutine ends.
  class Turn {
   public:
    Turn(std::shared_ptr<Impl> impl, ItemPtr item)
        : impl_(std::move(impl)), item_(std::move(item)) {}
    Turn(Turn&&) noexcept = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn();
    Item& item() const { return *item_; }
    const ItemPtr& ptr() const { return item_; }

   private:
    std::shared_ptr<Impl> impl_;
    ItemPtr item_;
  };

  /// A coroutine that waits for a change of the item; off its list however the coroutine ends. Made
  /// with the lock held, used and destroyed without.
  class Parked {
   public:
    Parked(std::shared_ptr<Impl> impl, ItemPtr item, const boost::asio::any_io_executor& executor,
           std::chrono::steady_clock::time_point deadline)
        : impl_(std::move(impl)),
          item_(std::move(item)),
          place_(item_->waiters.Add(executor, deadline)) {}
    Parked(const Parked&) = delete;
    ~Parked() {
      const std::lock_guard lock(impl_->mutex);
      item_->waiters.Remove(place_);
    }
    boost::asio::awaitable<void> Sleep() { return Waiters::Sleep(*place_); }

   private:
    std::shared_ptr<Impl> impl_;
    ItemPtr item_;
    Waiters::Place place_;
  };

  // With the lock held.
  static std::string Caller(const op::Principal& who) { return who.issuer + '\n' + who.subject; }
  void Add(const ItemPtr& item);
  /// An open request counts against its caller from before it is filed.
  void Count(const Request& request);
  void Uncount(const Request& request);
  /// Moves an open request to its end, in memory.
  void Close(const ItemPtr& item, State to, Nanos at, const std::string& why);
  Result<> HasRoom(const Filing& filing, Nanos now);
  Result<Flow> FindFlow(const std::string& name) const;

  // Without it.
  const std::string& TargetOf(const std::string& connection) const;  // never changes
  Result<> LoadAll();
  std::string KeyOf(const Filing& filing, const Flow& flow) const;
  Task<Turn> TakeTurn(std::string id);  // waits for it; not_found
  Task<Request> Make(ItemPtr item, std::string exact);
  void Tell(const Request& request);
  Result<> CheckVote(const Request& request, const Ballot& ballot);
  void RefuseVote(const Request& request, const Ballot& ballot, const Error& why);
  /// Ends an open request at once; recorded and written behind. False: not open, or somebody's turn
  /// (then it ends with that).
  bool End(const ItemPtr& item, State to, const op::Principal* by, const std::string& why);
  /// Withdraws what was asked under other rules, of another flow, or for another target than now.
  size_t EndStale();
  std::string Stale(const Request& request) const;  // why; empty: it is not. With the lock held
  size_t EndWhere(const std::function<bool(const Request&)>& which, const std::string& why);
  void Expire(Nanos now);
  void Forget(Nanos now);
};

/// The entry that says `type` of `request`; points into both arguments.
op::Evidence Describe(op::EventType type, const Request& request, op::ApprovalEvidence& approval);

}  // namespace sallyport::approval
