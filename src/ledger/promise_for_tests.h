#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "ledger/recorded_disk_for_tests.h"
#include "ledger/writer.h"

namespace sallyport::ledger {

/// What whoever opens a log must find.
struct Promised {
  std::map<uint64_t, std::string> entries;
  std::string head;  // a published checkpoint; empty: none
};

/// Options for a log in `root`/data with small files that is published often.
Options CrashOptions(const std::filesystem::path& root);

/// As the kernel names a boot.
std::string BootName(int boot);

/// The same, with everything on the disk.
DiskRecord AllOnDisk(const DiskRecord& record);

/// Opens the log in `root`/data in that boot, adds an entry, closes it, verifies it and looks for
/// what was promised. Empty if all is well.
std::string BrokenPromise(const std::filesystem::path& root, const Promised& promised, int boot);

}  // namespace sallyport::ledger
