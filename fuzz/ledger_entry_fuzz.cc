// Entries, bundles, proof files and what readers are shown: bytes that someone may have changed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "json/document.h"
#include "ledger/entry.h"
#include "ledger/proof.h"
#include "ledger/render.h"
#include "ledger/tile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  using namespace sallyport::ledger;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto entry = DecodeEntry(bytes)) {
    // Whatever was accepted can be shown, as one line of valid JSON.
    const std::string shown = RenderEntry(7, *entry, &*entry, &*entry);
    if (shown.find('\n') != std::string::npos) std::abort();
    if (!json::Document::Parse(shown, {.max_bytes = 1 << 20, .max_depth = 600})) std::abort();
    const std::string printable = Printable(shown);
    for (const char c : printable) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
  }
  for (const unsigned width : {1u, 3u, 256u}) {
    if (const auto entries = SplitBundle(bytes, width)) {
      std::string again;
      for (const std::string_view entry : *entries) AppendToBundle(again, entry);
      if (again != bytes) std::abort();
    }
  }
  if (const auto proof = ParseProof(bytes);
      proof && bytes.find("\nextra ") == std::string_view::npos) {
    if (FormatProof(*proof) != bytes) std::abort();
  }
  if (const auto name = ParseTilePath(bytes)) {
    if (TilePath(*name) != bytes) std::abort();
  }
  return 0;
}
