#include "approval/record.h"

#include "ledger/entry.h"
#include "ledger/writer.h"

namespace sallyport::approval {
namespace {

std::string Encode(const op::Evidence& evidence, const Clock& clock) {
  op::Evidence now = evidence;
  now.at = clock.WallNow();
  return ledger::EncodeEntry(now);
}

}  // namespace

Recorder RecordTo(ledger::Ledger& ledger, const Clock& clock) {
  return {
      .strict = [&ledger,
                 &clock](const op::Evidence& e) { return ledger.AppendStrict(Encode(e, clock)); },
      .now = [&ledger, &clock](const op::Evidence& e) { return ledger.Append(Encode(e, clock)); }};
}

}  // namespace sallyport::approval
