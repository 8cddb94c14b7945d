#pragma once

#include <chrono>

namespace sallyport::app {

/// Signals that mean something to a service: SIGTERM and SIGINT drain (a second one ends at once),
/// SIGHUP reloads. Block them in main before any thread exists; SIGPIPE is ignored.
void BlockSignals();

/// Waits for a blocked signal: its number, or 0 after `limit`.
int NextSignal(std::chrono::milliseconds limit);

/// Tells the service manager over $NOTIFY_SOCKET (sd_notify(3) protocol), if there is one:
/// "READY=1", "STOPPING=1", "RELOADING=1".
void NotifyManager(const char* state);

/// No core file, not traceable: memory may hold card numbers (PCI DSS 3.3).
void KeepMemoryPrivate();

}  // namespace sallyport::app
