#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ledger/entry.h"
#include "ledger/evidence_for_tests.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/writer.h"

namespace sallyport::exporting {

/// A log that a test writes.
struct TestLog {
  ledger::Scratch dir;
  std::unique_ptr<ledger::Ledger> ledger = *ledger::Ledger::Open(ledger::TestOptions(dir));

  uint64_t Append(const op::Evidence& e) { return ledger->Append(ledger::EncodeEntry(e)).value(); }
  uint64_t Append(std::string_view entry) { return ledger->Append(entry).value(); }
  /// All that was appended is published.
  void Publish() {
    const uint64_t size = ledger->stats().size;
    while (ledger->stats().published < size)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  /// An entry of a session, and of a call in it.
  void Call(const std::string& arguments = R"({"id":"o_1"})") {
    const auto session = ledger::TestSession();
    op::Evidence opened;
    opened.type = op::EventType::auth_success;
    opened.at = 1'795'200'000'000'000'000;
    opened.opened = session.get();
    const uint64_t at = Append(opened);
    Append(ledger::TestIntent(at, "refund_order", arguments));
  }
};

}  // namespace sallyport::exporting
