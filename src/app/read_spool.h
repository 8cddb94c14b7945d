#pragma once

#include <filesystem>
#include <string>

#include "gate/gate.h"
#include "mask/masker.h"
#include "op/evidence.h"

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

/// In the same way, what a command has found or done, for the log to keep: scan.made, drill.made,
/// delivery.reported, key.created, recording.exported and no other events. `facts` is a JSON object
/// of at most 4,000 bytes, or empty. `ok`: nothing was found that should not be.
Result<> NoteFinding(const std::filesystem::path& data_dir, op::EventType type,
                     const std::string& resource, bool ok, const std::string& facts);

/// Moves all notes into the log, masked: the spool is an input like any other. Called by the
/// gateway, from one thread.
void TakeReadings(const std::filesystem::path& data_dir, const mask::Masker& masker,
                  gate::Gate& gate);

}  // namespace sallyport::app
