#include "recording/chunks.h"

#include <algorithm>
#include <cstring>

namespace sallyport::recording {
namespace {

constexpr uint32_t kLast = 0x8000'0000u;

struct Head {
  uint64_t stream = 0;
  uint32_t number = 0;  // with kLast
  uint32_t length = 0;  // of the text
};

void Put(const Head& head, char* to) {
  auto* p = reinterpret_cast<uint8_t*>(to);
  StoreBe32(p, uint32_t(head.stream >> 32));
  StoreBe32(p + 4, uint32_t(head.stream));
  StoreBe32(p + 8, head.number);
  StoreBe32(p + 12, head.length);
}

Head Take(std::string_view from) {
  const uint8_t* p = AsBytes(from).data();
  return {uint64_t(LoadBe32(p)) << 32 | LoadBe32(p + 4), LoadBe32(p + 8), LoadBe32(p + 12)};
}

Gcm::Nonce NonceOf(const Head& head) {
  Gcm::Nonce nonce;
  StoreBe32(nonce.data(), uint32_t(head.stream >> 32));
  StoreBe32(nonce.data() + 4, uint32_t(head.stream));
  StoreBe32(nonce.data() + 8, head.number & ~kLast);
  return nonce;
}

/// What is authenticated beside the text; the head stands at its end.
std::string About(const Bound& bound) {
  std::string out(4, '\0');
  StoreBe16(reinterpret_cast<uint8_t*>(out.data()), uint16_t(bound.origin.size()));
  StoreBe16(reinterpret_cast<uint8_t*>(out.data()) + 2, uint16_t(bound.session.size()));
  out.append(bound.origin).append(bound.session).append(kChunkHead, '\0');
  return out;
}

std::unexpected<Error> Damaged(std::string what) {
  return Fail(Errc::recording_damaged, std::move(what));
}

/// The next chunk of `rest`, which it is taken from; its sealed text comes out.
Result<std::string_view> NextChunk(std::string_view& rest, uint32_t expected, Head& head) {
  if (rest.size() < kChunkHead + Gcm::kTag) return Damaged("a chunk is cut off");
  head = Take(rest);
  if ((head.number & ~kLast) != expected) return Damaged("a chunk stands in another's place");
  if (head.length > kChunkBytes) return Damaged("a chunk is too long");
  const size_t size = head.length + Gcm::kTag;
  if (rest.size() - kChunkHead < size) return Damaged("a chunk is cut off");
  const std::string_view sealed = rest.substr(kChunkHead, size);
  rest.remove_prefix(kChunkHead + size);
  const bool last = (head.number & kLast) != 0;
  if (last != rest.empty())
    return Damaged(last ? "something stands behind the last chunk" : "the last chunk is missing");
  return sealed;
}

}  // namespace

uint32_t SealChunks(Gcm& gcm, const Bound& bound, uint64_t stream, std::string_view text,
                    std::string& out) {
  std::string about = About(bound);
  out.reserve(out.size() + text.size() +
              (text.size() / kChunkBytes + 1) * (kChunkHead + Gcm::kTag));
  uint32_t number = 0;
  do {
    const std::string_view part = text.substr(0, kChunkBytes);
    text.remove_prefix(part.size());
    const Head head{stream, number | (text.empty() ? kLast : 0), uint32_t(part.size())};
    Put(head, about.data() + about.size() - kChunkHead);
    out.append(about, about.size() - kChunkHead, kChunkHead);
    gcm.Seal(NonceOf(head), about, part, out);
    ++number;
  } while (!text.empty());
  return number;
}

Result<std::string> OpenChunks(Gcm& gcm, const Bound& bound, std::string_view sealed, size_t most) {
  std::string about = About(bound), out;
  uint64_t stream = 0;
  for (uint32_t number = 0; number == 0 || !sealed.empty(); ++number) {
    Head head;
    SALLYPORT_TRY(const std::string_view part, NextChunk(sealed, number, head));
    if (number == 0) stream = head.stream;
    if (head.stream != stream) return Damaged("a chunk is of another recording");
    if (out.size() + head.length > most) return Damaged("it is too long");
    Put(head, about.data() + about.size() - kChunkHead);
    if (!gcm.Open(NonceOf(head), about, part, out))
      return Damaged("chunk " + std::to_string(number) + " does not open with its key");
  }
  return out;
}

Result<uint32_t> CountChunks(std::string_view sealed) {
  uint32_t number = 0;
  do {
    Head head;
    SALLYPORT_CHECK(NextChunk(sealed, number, head));
    ++number;
  } while (!sealed.empty());
  return number;
}

}  // namespace sallyport::recording
