#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "json/document.h"
#include "op/evidence.h"

namespace sallyport::ledger {

/// One entry of the log: compact JSON with a fixed order of keys, docs/formats/entry.md. The same
/// Evidence gives the same bytes. An entry that would be longer than kMaxEntryBytes loses its
/// payload texts, and says so in their `complete`.
std::string EncodeEntry(const op::Evidence& evidence);

/// Reads the common head of an entry and checks the shape. Borrows `bytes`.
struct Entry {
  json::Document document;
  std::string event;  // "call.intent"
  Nanos at = 0;
  uint64_t session = 0;  // log index of the session's entry; meaningful if has_session
  bool has_session = false;
};
Result<Entry> DecodeEntry(std::string_view bytes);

}  // namespace sallyport::ledger
