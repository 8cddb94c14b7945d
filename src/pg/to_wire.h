#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "op/decision.h"

namespace sallyport::pg {

/// An ErrorResponse of ours, in fields of the protocol.
struct WireError {
  std::string_view severity = "ERROR";
  std::string_view code;  // SQLSTATE
  std::string message, detail, hint;
};

/// The SQLSTATE that says `code`; one exhaustive switch.
std::string_view SqlState(Errc code);

/// A refusal by the gate: what and why; reason code, rule and decision id; what to do.
WireError ToWire(const op::Refusal& refusal);
WireError ToWire(const Error& error, std::string_view severity = "ERROR");

/// Appends the whole message. `type` is 'E' or 'N'.
void AppendError(std::string& out, const WireError& error, char type = 'E');

}  // namespace sallyport::pg
