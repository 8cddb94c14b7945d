#pragma once

#include <vector>

#include "config/sections.h"
#include "recording/limits.h"
#include "secrets/source.h"

namespace sallyport::config {

/// `recording` and `evidence.encrypt`.
struct Recordings {
  std::vector<secrets::Ref> keks;  // the first wraps. None: recordings are not kept
  recording::Limits limits;
  bool operator==(const Recordings&) const = default;
};

/// Of a configuration that was loaded, read from its file again; defaults where there is no file.
/// config_invalid if the file has changed since and is wrong now.
Result<Recordings> RecordingsOf(const Root& root);

/// evidence.encrypt
std::vector<secrets::Ref> ReadEncrypt(Context& context, const Node& node);

}  // namespace sallyport::config
