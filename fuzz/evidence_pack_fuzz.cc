#include <cstdint>
#include <string>
#include <string_view>

#include "evidence_pack/digest.h"
#include "evidence_pack/verify.h"
#include "evidence_pack/zip_format.h"

// An archive from somebody: read, or refused. Behind the first byte stands one whose closing digest is
// right whatever the rest is, as a forger would make it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport::evidence_pack;
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0 && bytes.size() >= kEndBytes)
    bytes.replace(bytes.size() - 64, 64, Digest::HexOf(bytes.substr(0, bytes.size() - kEndBytes)));
  const auto zip = ZipReader::Read(std::move(bytes));
  if (!zip) return 0;
  for (const Member& member : zip->members()) (void)zip->Content(member, 1 << 20);
  (void)VerifyPack(*zip, "");
  return 0;
}
