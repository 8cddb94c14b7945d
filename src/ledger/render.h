#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"

namespace sallyport::ledger {

/// An entry for readers: its long member names, RFC 3339 time, and who and from where out of the
/// session's entry. One line of JSON; docs/formats/entry.md, "As it is shown".
///
/// `session`: the auth.success entry that `entry` names, or null. `intent`: of an outcome, its
/// call.intent entry, from which connection and resource are taken; or null.
std::string RenderEntry(uint64_t index, const Entry& entry, const Entry* session,
                        const Entry* intent);

/// `text` for a terminal: control characters, also those of C1 and the bidirectional ones, are
/// written as escapes, so that what a caller sent cannot move the cursor or reorder what the reader
/// sees.
std::string Printable(std::string_view text);

}  // namespace sallyport::ledger
