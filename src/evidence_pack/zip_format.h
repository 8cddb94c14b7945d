#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "evidence_pack/zip.h"

namespace sallyport::evidence_pack {

// The records of APPNOTE 4.3.7, 4.3.12 and 4.3.16 in the one form that is used here.

inline void AppendLe(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += char(value >> (8 * i) & 0xff);
}

/// What local header and directory have in common: from "version needed" to the length of the name.
inline void AppendFacts(std::string& out, const Member& m) {
  AppendLe(out, 20, 2);            // version needed: 2.0, deflate
  AppendLe(out, 0x0800, 2);        // flags: names are UTF-8
  AppendLe(out, 8, 2);             // deflate
  AppendLe(out, 0, 2);             // 00:00
  AppendLe(out, (1 << 5) | 1, 2);  // 1980-01-01
  AppendLe(out, m.crc, 4);
  AppendLe(out, m.packed, 4);
  AppendLe(out, m.size, 4);
  AppendLe(out, m.name.size(), 2);
  AppendLe(out, 0, 2);  // no extra field
}

inline std::string LocalHeader(const Member& m) {
  std::string out("PK\x03\x04", 4);
  AppendFacts(out, m);
  return out += m.name;
}

inline std::string DirectoryHeader(const Member& m) {
  std::string out("PK\x01\x02", 4);
  AppendLe(out, 20, 2);  // made by: version 2.0, no system
  AppendFacts(out, m);
  AppendLe(out, 0, 2);  // no comment
  AppendLe(out, 0, 2);  // the first disk
  AppendLe(out, 0, 2);  // internal attributes
  AppendLe(out, 0, 4);  // external attributes
  AppendLe(out, m.offset, 4);
  return out += m.name;
}

inline constexpr std::string_view kDigestPrefix = "sha256:";
inline constexpr size_t kCommentBytes = 7 + 64;
inline constexpr size_t kEndBytes = 22 + kCommentBytes;

inline std::string EndRecord(size_t members, uint64_t directory_bytes, uint64_t directory_offset,
                             std::string_view sha256) {
  std::string out("PK\x05\x06", 4);
  AppendLe(out, 0, 4);
  AppendLe(out, members, 2);
  AppendLe(out, members, 2);
  AppendLe(out, directory_bytes, 4);
  AppendLe(out, directory_offset, 4);
  AppendLe(out, kCommentBytes, 2);
  out += kDigestPrefix;
  return out += sha256;
}

/// A path inside the pack that cannot lead out of it: "a/b.csv", printable ASCII without
/// backslashes.
bool GoodName(std::string_view name);

}  // namespace sallyport::evidence_pack
