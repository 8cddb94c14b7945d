// A write-ahead log as a crash or a hand may have left it: recovery reads it before anything else
// runs.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <unistd.h>

#include "ledger/checkpoint.h"
#include "ledger/recover.h"
#include "ledger/tree.h"
#include "ledger/wal.h"
#include "ledger/wal_reader.h"

namespace {

using namespace sallyport;
using namespace sallyport::ledger;

/// A log with an empty, signed checkpoint.
struct Place {
  Place() {
    std::string name = (std::filesystem::temp_directory_path() / "ledger-wal-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    dir = name;
    std::filesystem::create_directories(dir / "log");
    std::filesystem::create_directories(dir / "wal");
    std::ofstream(dir / "log" / "checkpoint")
        << *signer.Sign(CheckpointText({"log.example/a", 0, EmptyRoot()}));
  }
  ~Place() { std::filesystem::remove_all(dir); }

  NoteSigner signer = *NoteSigner::Make("log.example/a", Secret(std::string(32, 'k')));
  NoteVerifier verifier = *NoteVerifier::Make(signer.vkey());
  std::filesystem::path dir;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Place place;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);

  FrameReader reader(bytes);
  std::string again;
  while (const auto frame = reader.Next()) AppendFrame(again, *frame);
  if (again != bytes.substr(0, reader.offset())) std::abort();
  (void)reader.Salvage(0, ~uint64_t(0));

  // The input as leaves with valid checksums in front, then as it is.
  std::string file;
  AppendFrame(file, {FrameType::segment, 0, "sallyport-wal/1 " + BootId()});
  const size_t half = size / 2;
  AppendFrame(file,
              {FrameType::leaf, 0, bytes.substr(0, std::min<size_t>(half, kMaxFramePayload))});
  file += bytes.substr(half);
  std::ofstream(SegmentPath(place.dir / "wal", 1), std::ios::binary | std::ios::trunc) << file;
  if (const auto recovered = Recover(place.dir, place.verifier)) {
    if (recovered->tree.size() < 1) std::abort();  // the whole leaf is never lost
  }
  return 0;
}
