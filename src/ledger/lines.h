#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ledger/tree.h"

namespace sallyport::ledger {

// The line-based texts of C2SP: checkpoints, proofs, submissions to witnesses, policies.

/// The next line without its newline, taken off `text`; nothing where no newline is left.
std::optional<std::string_view> TakeLine(std::string_view& text);

/// Canonical: no sign, no leading zero.
std::optional<uint64_t> ParseDecimal(std::string_view text);

/// Canonical base64 of 32 bytes.
std::optional<Hash> ParseHash(std::string_view text);

}  // namespace sallyport::ledger
