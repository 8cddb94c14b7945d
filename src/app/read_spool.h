#pragma once

#include <filesystem>
#include <string>

#include "gate/gate.h"
#include "mask/masker.h"

namespace sallyport::app {

/// Every reading of the log is an entry of the log (PCI DSS 10.2.1.3), but only the gateway writes
/// it. A command that reads leaves a note in `<data_dir>/reads`; the gateway takes it into the log
/// within a second, or at its next start. A copy of a data directory has no writable spool: reading
/// a copy leaves no trace, and docs/formats/log.md says so.
///
/// `command` is a constant such as "audit search"; `subject` an index or session id. The reader is
/// the user of the operating system. io_failed when the spool exists and cannot be written.
Result<> NoteReading(const std::filesystem::path& data_dir, const std::string& command,
                     const std::string& subject);

/// Moves all notes into the log, masked: the spool is an input like any other. Called by the
/// gateway, from one thread.
void TakeReadings(const std::filesystem::path& data_dir, const mask::Masker& masker,
                  gate::Gate& gate);

}  // namespace sallyport::app
