#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "export/format.h"
#include "json/document.h"

// Entries that are not of our making, as events: one line each, of the length that is asked for,
// and JSON where it has to be.

namespace {

using sallyport::exporting::Event;
using sallyport::exporting::Format;

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Two lines: an entry, and the session and intent that it names.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = input.find('\n');
  const auto entry = sallyport::ledger::DecodeEntry(input.substr(0, cut));
  const auto other = sallyport::ledger::DecodeEntry(
      cut == std::string_view::npos ? std::string_view() : input.substr(cut + 1));
  Event event{.origin = "gate.example.com/test", .index = 7, .leaf = "bGVhZg==", .bytes = input};
  if (entry) event.entry = &*entry;
  if (other) event.session = event.intent = &*other;
  for (const Format format : {Format::ocsf, Format::cef, Format::ecs, Format::json}) {
    for (const size_t limit : {size_t(0), size_t(2'000)}) {
      const std::string line =
          Render({.format = format, .version = "1", .max_bytes = limit}, event);
      Require(limit == 0 || line.size() <= limit);
      Require(line.find_first_of(std::string_view("\n\r\0\x0b\x0c\x1b\x7f", 7)) == line.npos);
      if (format == Format::cef) {
        Require(line.starts_with("CEF:0|sallyport|sallyport|1|"));
      } else {
        Require(sallyport::json::Document::Parse(line, {.max_depth = 1024}).has_value());
      }
    }
  }
  return 0;
}
