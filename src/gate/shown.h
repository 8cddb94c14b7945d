#pragma once

#include <string>

#include "op/evidence.h"
#include "op/operation.h"

namespace sallyport::gate {

/// The arguments as the log and the approvers see them.
inline op::Payload Shown(const op::Operation& operation) {
  return {.text = operation.recorded_arguments,
          .json = operation.recorded_complete,
          .total_bytes = operation.argument_bytes,
          .complete = operation.recorded_complete};
}

/// By whom rates are counted.
inline std::string CallerKey(const op::Principal& who) { return who.issuer + '\n' + who.subject; }

}  // namespace sallyport::gate
