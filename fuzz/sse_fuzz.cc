// Events do not depend on how the bytes were cut, and what the writer writes the reader reads back.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "mcp/sse.h"

namespace {

using sallyport::mcp::SseEvent;
using sallyport::mcp::SseParser;

void Check(bool holds) {
  if (!holds) std::abort();
}

struct Reading {
  bool ok = true;
  std::vector<SseEvent> events;
  std::string last_id;
  std::optional<uint32_t> retry;
};

/// `cuts` says how long the pieces are, one byte each; without cuts the text goes in whole.
Reading Read(std::string_view text, std::string_view cuts, size_t limit) {
  SseParser parser(limit);
  Reading r;
  for (size_t i = 0; r.ok && !text.empty(); ++i) {
    const size_t n =
        cuts.empty() ? text.size() : static_cast<uint8_t>(cuts[i % cuts.size()]) % 32 + 1;
    r.ok = parser.Feed(text.substr(0, n), r.events).has_value();
    text.remove_prefix(std::min(n, text.size()));
  }
  r.last_id = parser.last_id();
  r.retry = parser.retry();
  return r;
}

bool SameEvents(const std::vector<SseEvent>& a, const std::vector<SseEvent>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].type != b[i].type || a[i].data != b[i].data || a[i].id != b[i].id) return false;
  }
  return true;
}

void ChunkInvariance(std::string_view text, std::string_view cuts) {
  const Reading whole = Read(text, {}, 1 << 20);
  const Reading cut = Read(text, cuts, 1 << 20);
  Check(whole.ok && cut.ok);
  Check(SameEvents(whole.events, cut.events));
  Check(whole.last_id == cut.last_id && whole.retry == cut.retry);
  // A small limit refuses early or late, but never invents or changes an event.
  const Reading small = Read(text, cuts, 16);
  Check(small.events.size() <= whole.events.size());
  for (size_t i = 0; i < small.events.size(); ++i) {
    Check(small.events[i].data == whole.events[i].data && small.events[i].data.size() <= 16);
  }
}

/// Line breaks become LF; all else comes back as it was, and nothing else comes.
void RoundTrip(std::string_view data, std::string_view id, std::string_view type) {
  std::string wire;
  sallyport::mcp::AppendKeepAlive(wire);
  sallyport::mcp::AppendEvent(wire, data, id, type);
  sallyport::mcp::AppendRetry(wire, 7);
  const Reading back = Read(wire, {}, 1 << 20);
  Check(back.ok && back.events.size() == 1 && back.retry == 7);
  std::string lines;
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] == '\r' && i + 1 < data.size() && data[i + 1] == '\n') continue;
    lines += data[i] == '\r' ? '\n' : data[i];
  }
  Check(back.events[0].data == lines);
  Check(back.events[0].type == type || back.events[0].type.empty());
  Check(back.events[0].id == id || back.events[0].id.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view cuts = all.substr(0, 4), text = all.substr(4);
  ChunkInvariance(text, cuts);
  const size_t part = static_cast<uint8_t>(cuts[0]) % text.size();
  RoundTrip(text.substr(part), text.substr(0, part / 2), text.substr(part / 2, part - part / 2));
  return 0;
}
