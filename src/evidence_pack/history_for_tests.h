#pragma once

#include <cstdint>
#include <filesystem>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::evidence_pack {

struct MadeHistory {
  Nanos from = 0, to = 0;
  uint64_t entries = 0, operations = 0, denied = 0, refused = 0, approvals = 0;
};

/// Writes a log as gateways write them into `data_dir`: about `entries` entries of `days` days from
/// 2026-09-01 on. People, agents, MCP calls, statements, denials, approvals, values in clear,
/// heartbeats every 10 s (fewer where `entries` is small), one outage after a crash, failures of
/// controls, reviews, scans. The same arguments give the same entries.
Result<MadeHistory> MakeHistory(const std::filesystem::path& data_dir, uint64_t entries,
                                uint32_t days);

}  // namespace sallyport::evidence_pack
