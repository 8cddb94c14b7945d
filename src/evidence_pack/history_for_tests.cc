#include "evidence_pack/history_for_tests.h"

#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "ledger/entry.h"
#include "ledger/writer.h"
#include "mask/corpus_format.h"
#include "mask/masker.h"
#include "mask/seal.h"

namespace sallyport::evidence_pack {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kBegin = 1'788'220'800 * kSecond;  // 2026-09-01T00:00:00Z
constexpr const char* kConnections[] = {"payments", "support", "ledger-tools", "orders-db",
                                        "cards-db"};

class Maker {
 public:
  Maker(ledger::Ledger& log, const mask::Masker& masker) : log_(log), masker_(masker) {}

  MadeHistory made;
  Nanos now = kBegin;
  Result<> failed;

  uint64_t Write(op::Evidence e) {
    e.at = now;
    if (!failed) return 0;
    const std::string bytes = ledger::EncodeEntry(e);
    for (int tries = 0; tries < 20'000; ++tries) {
      if (const auto index = log_.Append(bytes)) {
        ++made.entries;
        return *index;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // its queue is full
    }
    failed = Fail(Errc::io_failed, "the log takes no entry");
    return 0;
  }

  uint64_t Say(op::EventType type, std::string resource = "", std::string detail = "",
               uint64_t count = 0, std::string facts = "") {
    op::Evidence e;
    e.type = type;
    e.resource = std::move(resource);
    e.detail = std::move(detail);
    e.count = count;
    if (!facts.empty()) e.facts = Sealed(facts, true).text;
    return Write(std::move(e));
  }

  op::Payload Sealed(const std::string& text, bool json) {
    std::vector<op::MaskCount> counts;
    if (!json) return mask::Seal::Text(masker_, text, 4096, counts);
    auto sealed = mask::Seal::Json(masker_, text, {}, 4096, counts);
    return sealed ? *sealed : op::Payload{};
  }

  void Operation() {
    if (open_.size() < 40 || Chance(20)) Open();
    Stay& stay = open_[random_() % open_.size()];
    op::Evidence e;
    e.session = stay.entry;
    e.operation = ++stay.operations;
    e.connection = stay.session->connection;
    const bool sql = stay.session->front_end == "postgres";
    e.method = sql ? "query" : "tools/call";
    e.resource = sql ? "orders" : Tool();
    e.decision_id = "d_" + std::to_string(made.operations);
    e.policy_version = "0123456789abcdef";
    const std::string text =
        sql ? Statement() : R"({"id":"o_)" + std::to_string(random_() % 9999) + R"("})";
    e.request = Sealed(sql ? R"({"sql":")" + text + R"("})" : text, true);
    if (Chance(25)) return Deny(std::move(e));
    if (!sql && Chance(400)) Approve(e);
    e.type = op::EventType::call_intent;
    e.verdict = op::Verdict::allow;
    e.rules = {sql                               ? "analysts-read"
               : stay.session->who.agent.empty() ? "support-reads"
                                                 : "agents"};
    const uint64_t intent = Write(std::move(e));
    ++made.operations;
    now += Nanos(random_() % 30'000'000);
    Outcome(stay.entry, intent, sql);
    if (Chance(20)) Close(random_() % open_.size());
  }

  void CloseAll() {
    while (!open_.empty()) Close(open_.size() - 1);
  }
  void Forget() { open_.clear(); }
  bool Chance(unsigned of) { return random_() % of == 0; }

 private:
  struct Stay {
    std::unique_ptr<op::Session> session;
    uint64_t entry = 0, operations = 0;
  };

  const char* Tool() {
    static constexpr const char* kTools[] = {"get_order", "list_orders", "refund_order", "search",
                                             "get_customer"};
    return kTools[random_() % 5];
  }
  const char* Statement() {
    static constexpr const char* kStatements[] = {"SELECT id, total FROM orders WHERE id = $1",
                                                  "SELECT * FROM customers LIMIT 20",
                                                  "SELECT count(*) FROM refunds",
                                                  "UPDATE orders SET state = $1 WHERE id = $2",
                                                  "COPY orders TO STDOUT",
                                                  "CREATE INDEX ON orders (total)",
                                                  "GRANT SELECT ON orders TO reporting"};
    const unsigned n = random_() % 200;
    return kStatements[n < 4 ? 3 + n : n % 3];
  }

  void Open() {
    auto s = std::make_unique<op::Session>();
    const unsigned who = random_() % 220;
    s->id = "s_" + std::to_string(made.entries);
    s->who.issuer = "https://login.example.com";
    s->who.subject = "u-" + std::to_string(who);
    s->who.name = "person" + std::to_string(who) + "@example.com";
    s->who.groups = {"staff", who % 3 == 0 ? "analysts" : "support"};
    s->who.provider = "corp";
    s->who.token_class = "access";
    if (who >= 200) {
      s->who.agent = "agent-" + std::to_string(who - 200);
      s->who.owner = "user:person" + std::to_string(who - 200) + "@example.com";
      s->who.client_id = "client-" + std::to_string(who);
    }
    s->from = {"10.0." + std::to_string(who % 250) + "." + std::to_string(random_() % 250),
               "client 1.0"};
    const unsigned at = random_() % 5;
    s->connection = kConnections[at];
    s->front_end = at >= 3 ? "postgres" : "mcp";
    s->protocol = at >= 3 ? "3.0" : "2025-11-25";
    op::Evidence e;
    e.type = op::EventType::auth_success;
    e.opened = s.get();
    const uint64_t entry = Write(std::move(e));
    open_.push_back({std::move(s), entry, 0});
  }

  void Close(size_t n) {
    op::Evidence e;
    e.type = op::EventType::session_close;
    e.session = open_[n].entry;
    e.count = open_[n].operations;
    Write(std::move(e));
    open_.erase(open_.begin() + ptrdiff_t(n));
  }

  void Deny(op::Evidence e) {
    e.type = op::EventType::call_denied;
    e.verdict = op::Verdict::deny;
    e.reason = Chance(3) ? Errc::rule_deny : Errc::policy_default_deny;
    if (e.reason == Errc::rule_deny) e.rules = {"no-export"};
    Write(std::move(e));
    ++made.operations;
    ++made.denied;
  }

  void Approve(const op::Evidence& about) {
    op::Principal lead;
    lead.issuer = "https://login.example.com";
    lead.subject = "u-3";
    lead.name = "person3@example.com";
    op::ApprovalEvidence approval;
    approval.flow = "payments-lead";
    approval.state = "approved";
    approval.by = &lead;
    approval.vote = "approve";
    approval.reason = Sealed("customer called, order checked", false).text;
    op::Evidence e;
    e.type = op::EventType::approval_decided;
    e.approval_id = "a_" + about.decision_id;
    e.approval = &approval;
    Write(std::move(e));
    ++made.approvals;
  }

  void Outcome(uint64_t session, uint64_t intent, bool sql) {
    op::Evidence e;
    e.session = session;
    e.intent = intent;
    e.type = Chance(500) ? op::EventType::call_abandoned : op::EventType::call_outcome;
    e.ok = !Chance(60);
    if (!e.ok) e.code = sql ? "42P01" : "tool-error";
    e.duration_us = 500 + random_() % 20'000;
    if (e.ok) {
      e.result =
          Sealed(R"({"rows":[{"id":"o_17","state":"paid","card":"************1111"}]})", true);
      e.result->rows = 1 + random_() % 50;
      if (Chance(4))
        e.masked = {
            {"pan",
             sql ? "/card_number" : "/result/rows/" + std::to_string(random_() % 40) + "/card",
             1 + unsigned(random_() % 5)}};
      if (Chance(3000)) e.masked.push_back({"sad", "/result/cvv", 1});
      if (Chance(5000)) e.unmasked = op::Unmasked{.values = 1, .places = 1};
    }
    Write(std::move(e));
  }

  ledger::Ledger& log_;
  const mask::Masker& masker_;
  std::mt19937_64 random_{20'260'901};
  std::vector<Stay> open_;
};

void Events(Maker& maker, uint64_t tick, uint64_t step) {
  using enum op::EventType;
  constexpr uint64_t kDay = 8640;
  const auto at = [&](uint64_t period, uint64_t offset) {
    return tick % period >= offset && tick % period < offset + step;
  };
  if (at(kDay, kDay / 3)) {
    maker.Say(review_made, "day", "", 0, R"({"denied":12,"deviations":0})");
    maker.Say(scan_made, "everything at rest", "", 0, R"({"bytes":123456})");
    maker.Say(integrity_checked, "program and configuration", "unchanged");
    maker.Say(key_created, "day-" + std::to_string(tick / kDay), "day key");
    maker.Say(delivery_reported, "siem", "all confirmed");
  }
  if (at(3 * kDay, kDay / 4)) {
    maker.Say(control_failed, "export siem", "the receiver cannot be reached");
    maker.now += 8 * kSecond;
    maker.Say(control_restored, "export siem", "", 8);
  }
  if (at(7 * kDay, kDay / 5)) {
    maker.Say(drill_made, "restore", "newest 90 days in 12 s");
    maker.Say(config_loaded, "", "3 rules");
    maker.Say(column_found, "public.notes.body", "card numbers in a column that is not classified",
              4);
    maker.Say(evidence_read, "", "auditor, uid 1001");
  }
  if (maker.Chance(300)) {
    op::Evidence e;
    e.type = auth_failure;
    e.address = "203.0.113.9";
    e.reason = Errc::token_expired;
    maker.Write(std::move(e));
    ++maker.made.refused;
  }
}

}  // namespace

Result<MadeHistory> MakeHistory(const std::filesystem::path& data_dir, uint64_t entries,
                                uint32_t days) {
  ledger::Options options;
  options.data_dir = data_dir;
  options.origin = "gate.example.com/history";
  options.signing_key = Secret(std::string(32, 'h'));
  SALLYPORT_TRY(const auto masker,
                mask::Masker::Make(mask::DefaultDetectors(), Secret("0123456789abcdef")));
  SALLYPORT_TRY(const auto log, ledger::Ledger::Open(std::move(options)));
  Maker maker(*log, *masker);
  maker.Say(op::EventType::log_init);
  maker.Say(op::EventType::log_start, "", "sallyport 0.1.0");
  const uint64_t ticks = uint64_t(days) * 8640;
  const uint64_t step = ticks * 2 > entries ? ticks * 2 / entries + 1 : 1;  // of heartbeats
  for (uint64_t tick = 0; tick < ticks && maker.failed; tick += step) {
    const Nanos due = kBegin + Nanos(tick) * 10 * kSecond;
    if (tick >= ticks / 2 && tick < ticks / 2 + step) {  // killed for a while
      maker.Forget();
      maker.now = std::max(maker.now, due) + 7200 * kSecond;
      maker.Say(op::EventType::log_start, "", "sallyport 0.1.0");
    }
    if (due < maker.now && tick > 0) continue;
    maker.now = std::max(maker.now, due);
    maker.Say(op::EventType::log_heartbeat, "", "clock synchronized, at most 812 us off");
    Events(maker, tick, step);
    while (maker.made.entries < entries * (tick + step) / ticks && maker.failed) {
      maker.now += kSecond / 200;
      maker.Operation();
    }
  }
  maker.now += kSecond;
  maker.CloseAll();
  maker.Say(op::EventType::log_stop);
  SALLYPORT_CHECK(maker.failed);
  SALLYPORT_CHECK(log->Close());
  maker.made.from = kBegin;
  maker.made.to = maker.now + 1;
  return maker.made;
}

}  // namespace sallyport::evidence_pack
