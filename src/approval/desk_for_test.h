#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <gtest/gtest.h>
#include <mutex>
#include <vector>

#include "approval/desk.h"
#include "base/bytes.h"
#include "mask/masker.h"
#include "mask/seal.h"

namespace sallyport::approval {

/// Wall and steady time that a test moves apart.
class FakeClock final : public Clock {
 public:
  Nanos WallNow() const override { return wall; }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(steady.load()));
  }
  void Pass(std::chrono::milliseconds d) {
    wall += d.count() * 1'000'000;
    steady += d.count() * 1'000'000;
  }
  std::atomic<Nanos> wall = 1'795'000'000'000'000'000, steady = 1'000'000'000;
};

/// What was recorded, in order.
class FakeLog {
 public:
  struct Line {
    std::string event, id, state;
    bool ok;
    std::optional<Errc> reason;
    std::string detail, by, text;
  };
  Recorder recorder() {
    return {.strict =
                [this](const op::Evidence& e) {
                  if (meanwhile) std::exchange(meanwhile, nullptr)();
                  return Strict(Add(e));
                },
            .now = [this](const op::Evidence& e) { return Add(e); }};
  }
  std::vector<Line> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  size_t Count(std::string_view event, bool ok = true) const {
    const std::lock_guard lock(mutex_);
    return size_t(std::ranges::count_if(
        lines_, [&](const Line& l) { return l.event == event && l.ok == ok; }));
  }
  std::atomic<bool> broken = false;
  std::function<void()> meanwhile;  // happens once, while something is being recorded

 private:
  static Task<uint64_t> Strict(Result<uint64_t> r) { co_return r; }
  Result<uint64_t> Add(const op::Evidence& e) {
    if (broken) return Fail(Errc::ledger_unavailable);
    const std::lock_guard lock(mutex_);
    lines_.push_back({std::string(op::EventName(e.type)), e.approval_id, e.approval->state, e.ok,
                      e.reason, e.detail, e.approval->by == nullptr ? "" : e.approval->by->subject,
                      e.approval->reason.get()});
    return lines_.size() - 1;
  }
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

class DeskFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "desk-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    const std::vector<mask::DetectorSpec> detectors{
        {.name = "pan", .kind = mask::DetectorKind::pan}};
    auto masker = mask::Masker::Make(detectors, Secret(std::string(32, 'k')));
    ASSERT_TRUE(masker) << masker.error().detail;
    masker_ = *masker;
    options_.flows = {{.name = "leads", .approvers = {"group:leads"}}};
    options_.public_url = "https://gate.example";
    options_.mask = [this](std::string_view text, bool json) -> op::Payload {
      std::vector<op::MaskCount> counts;
      if (!json) return mask::Seal::Text(*masker_, text, 1 << 20, counts);
      return mask::Seal::Json(*masker_, text, {}, 1 << 20, counts).value_or(op::Payload{});
    };
    Start();
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(dir_);
  }
  void Start(state::Database::Options options = {}) {
    auto db = state::Database::Open(dir_ / "state.db", options);
    if (db) {
      auto migrated = Desk::Migrate(**db);
      if (!migrated) db = std::unexpected(migrated.error());
    }
    writer_ = std::make_unique<state::Writer>(std::move(db));
    desk_ = std::make_unique<Desk>(*writer_, *state::Sealer::Make(Secret(Key())), log_.recorder(),
                                   options_, clock_);
  }
  void Stop() {
    desk_.reset();
    writer_.reset();
  }
  void Restart() {
    Stop();
    Start();
  }
  static std::string Key() { return Base64UrlEncode(std::vector<uint8_t>(32, 7)); }

  /// Runs a Task to its end.
  template <class T>
  Result<T> Run(Task<T> task) {
    boost::asio::io_context io(1);
    Result<T> out = Fail(Errc::internal, "did not end");
    boost::asio::co_spawn(
        io, [&]() -> boost::asio::awaitable<void> { out = co_await std::move(task); },
        [](std::exception_ptr e) {
          if (e) std::rethrow_exception(e);
        });
    io.run();
    return out;
  }

  static op::Principal Person(const std::string& subject, std::vector<std::string> groups = {}) {
    op::Principal who;
    who.issuer = "https://idp.example";
    who.subject = subject;
    who.name = subject + "@example";
    who.groups = std::move(groups);
    return who;
  }
  static op::Principal Lead(const std::string& subject) { return Person(subject, {"leads"}); }
  static op::Principal Agent() {
    op::Principal who = Person("agent-1");
    who.agent = "refunds";
    who.owner = "group:platform";
    return who;
  }
  Filing Refund(const std::string& amount = "900", op::Principal who = Agent()) {
    Filing f;
    f.flow = "leads";
    f.requester = std::move(who);
    f.session = 5;
    f.connection = "payments";
    f.verb = op::Verb::tool_call;
    f.method = "tools/call";
    f.resource = "refund_order";
    f.effect = op::Effect::write;
    f.exact = R"({"arguments":{"amount":)" + amount + "}}";
    f.shown = options_.mask(R"({"amount":)" + amount + "}", true);
    f.policy_version = "0123456789abcdef";
    f.decision_id = "d_1";
    f.rules = {"big-refunds"};
    f.why = "rule big-refunds asks for approval by leads";
    return f;
  }
  Request Filed(Filing f) {
    auto request = Run(desk_->File(std::move(f)));
    EXPECT_TRUE(request) << ReasonCode(request.error().code) << request.error().detail;
    return request ? *request : Request{};
  }
  Request Filed() { return Filed(Refund()); }
  Result<Request> Vote(const Request& r, const op::Principal& who, bool approve = true,
                       std::string reason = "") {
    return Run(desk_->Decide(r.id, {who, approve, std::move(reason), r.digest, ""}));
  }
  Errc Code(const auto& result) { return result ? Errc::internal : result.error().code; }

  std::filesystem::path dir_;
  FakeClock clock_;
  FakeLog log_;
  Desk::Options options_;
  std::shared_ptr<const mask::Masker> masker_;
  std::unique_ptr<state::Writer> writer_;
  std::unique_ptr<Desk> desk_;
};

}  // namespace sallyport::approval
