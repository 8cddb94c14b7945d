#include "mask/decode.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <immintrin.h>
#include <zlib.h>

#include "mask/fold.h"
#include "mask/json_mask.h"

namespace sallyport::mask {
namespace {

constexpr auto kBase64Value = [] {
  std::array<int8_t, 256> t{};
  for (auto& v : t) v = -1;
  for (int i = 0; i < 26; i++) t[size_t('A' + i)] = int8_t(i), t[size_t('a' + i)] = int8_t(26 + i);
  for (int i = 0; i < 10; i++) t[size_t('0' + i)] = int8_t(52 + i);
  t['+'] = t['-'] = 62;
  t['/'] = t['_'] = 63;
  return t;
}();

bool IsBase64(char c) { return kBase64Value[uint8_t(c)] >= 0; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  c = char(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string FromBase64(std::string_view s) {
  std::string out;
  out.reserve(s.size() * 3 / 4);
  uint32_t acc = 0;
  int bits = 0;
  for (char c : s) {
    const int v = kBase64Value[uint8_t(c)];
    if (v < 0) continue;
    acc = acc << 6 | uint32_t(v);
    if ((bits += 6) >= 8) out += char(acc >> (bits -= 8) & 0xff);
  }
  return out;
}
std::string ToBase64(std::string_view s, bool url, bool pad) {
  std::string_view alphabet =
      url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
          : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t acc = 0;
  int bits = 0;
  for (char c : s) {
    acc = acc << 8 | uint8_t(c);
    for (bits += 8; bits >= 6;) out += alphabet[acc >> (bits -= 6) & 63];
  }
  if (bits > 0) out += alphabet[acc << (6 - bits) & 63];
  while (pad && out.size() % 4 != 0) out += '=';
  return out;
}

/// nullopt: not a stream. Sets `too_large` when the limit ends it.
std::optional<std::string> Inflate(std::string_view data, bool& too_large) {
  z_stream z{};
  if (inflateInit2(&z, 15 + 32) != Z_OK) return std::nullopt;  // zlib or gzip by its header
  std::string out;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = uInt(data.size());
  int rc = Z_OK;
  while (rc == Z_OK && out.size() <= kMaxInflated) {
    char chunk[16384];
    z.next_out = reinterpret_cast<Bytef*>(chunk);
    z.avail_out = sizeof chunk;
    rc = inflate(&z, Z_NO_FLUSH);
    out.append(chunk, sizeof chunk - z.avail_out);
    if (z.avail_in == 0 && z.avail_out != 0) break;
  }
  inflateEnd(&z);
  too_large = out.size() > kMaxInflated;
  if (out.empty() || (rc != Z_STREAM_END && rc != Z_OK && rc != Z_BUF_ERROR)) return std::nullopt;
  return out;
}
std::string Deflate(std::string_view data, bool gzip) {
  z_stream z{};
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip ? 31 : 15, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    return {};
  std::string out(deflateBound(&z, uLong(data.size())) + 32, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = uInt(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// Text, possibly UTF-16 with Latin letters (every other byte NUL).
bool LooksLikeText(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    const unsigned char c = static_cast<unsigned char>(s[i]);
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != 0) return false;
    if (c == 0x7f) return false;
    char32_t cp;
    const int n = DecodeUtf8(s, i, cp);
    if (c >= 0x80 && n == 1) return false;
    i += size_t(n);
  }
  return true;
}

bool AllEbcdicDigits(std::string_view s) {
  return s.size() >= 12 && std::ranges::all_of(s, [](char c) {
           const uint8_t b = uint8_t(c);
           return (b >= 0xf0 && b <= 0xf9) || b == 0x40 || b == 0x60;
         });
}
constexpr auto kEbcdicPairs =
    std::to_array<std::pair<uint8_t, char>>({{0x40, ' '}, {0x60, '-'}, {0x5c, '*'}});
std::string FromEbcdic(std::string_view s) {
  std::string out;
  for (char c : s) {
    char v = char('0' + (uint8_t(c) - 0xf0));
    for (auto [e, a] : kEbcdicPairs) v = uint8_t(c) == e ? a : v;
    out += v;
  }
  return out;
}
std::string ToEbcdic(std::string_view s) {
  std::string out;
  for (char c : s) {
    uint8_t v = IsDigit(c) ? uint8_t(0xf0 + (c - '0')) : 0x40;
    for (auto [e, a] : kEbcdicPairs) v = c == a ? e : v;
    out += char(v);
  }
  return out;
}

constexpr auto kByteKind =
    [] {  // 1: ASCII text, 2: UTF-8, 4: EBCDIC digits, 8: first byte of a packed stream
      std::array<uint8_t, 256> t{};
      for (int c = 0; c < 256; c++) {
        if ((c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r' || c == 0)
          t[size_t(c)] |= 1;
        if (c >= 0x80 && c != 0xc0 && c != 0xc1 && c < 0xf5) t[size_t(c)] |= 2;
        if ((c >= 0xf0 && c <= 0xf9) || c == 0x40 || c == 0x60) t[size_t(c)] |= 4;
      }
      t[0x1f] |= 8, t[0x78] |= 8;
      return t;
    }();
/// The first three decoded bytes rule most tokens out.
bool MayBegin(const uint8_t* b) {
  const uint8_t x = kByteKind[b[0]], y = kByteKind[b[1]], z = kByteKind[b[2]];
  if (x & 8 || (x & y & z & 5) != 0) return true;
  return b[0] < 0xc2 ? (x & 1) && ((y & 1) ? b[2] >= 0xc2 && (z & 2) : b[1] >= 0xc2 && (z & 2))
                     : (y & 2) != 0;
}

/// Whether decoded bytes are worth a closer look: characters, EBCDIC digits, or a packed stream.
bool WorthALook(const uint8_t* b, size_t n) {
  if ((b[0] == 0x1f && b[1] == 0x8b) || (b[0] == 0x78 && (b[0] * 256 + b[1]) % 31 == 0))
    return true;
  bool ebcdic = true;
  for (size_t i = 0; i < n && ebcdic; i++)
    ebcdic = (b[i] >= 0xf0 && b[i] <= 0xf9) || b[i] == 0x40 || b[i] == 0x60;
  if (ebcdic) return true;
  const std::string_view s(reinterpret_cast<const char*>(b), n);
  for (size_t i = 0; i < n;) {
    if ((b[i] < 0x20 && b[i] != '\t' && b[i] != '\n' && b[i] != '\r' && b[i] != 0) || b[i] == 0x7f)
      return false;
    char32_t cp;
    const int length = DecodeUtf8(s, i, cp);
    if (length == 1 && b[i] >= 0x80)
      return i + 4 > n && b[i] >= 0xc2 && b[i] < 0xf5;  // cut by the end of the head
    i += size_t(length);
  }
  return true;
}
constexpr size_t kHead = 12;           // decoded bytes that are looked at first
using Head = std::array<uint8_t, 16>;  // kHead of them

/// What WorthALook says no to, mostly: control characters and bytes that are no UTF-8, anywhere but
/// in the last three, where a character may be cut.
bool MayBeWorthALook(const Head& head) {
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(head.data()));
  const auto bits = [](__m128i m) { return uint32_t(_mm_movemask_epi8(m)); };
  const auto is = [&](int c) { return _mm_cmpeq_epi8(b, _mm_set1_epi8(char(c))); };
  const auto in = [&](int low, int high) {
    const __m128i at = _mm_sub_epi8(b, _mm_set1_epi8(char(low)));
    return _mm_cmpeq_epi8(_mm_min_epu8(at, _mm_set1_epi8(char(high - low))), at);
  };
  constexpr uint32_t kSure = (1u << (kHead - 3)) - 1, kAllOf = (1u << kHead) - 1;
  const uint32_t white = bits(_mm_or_si128(_mm_or_si128(is(0), in(9, 10)), is(13)));
  const uint32_t control = (bits(in(0, 0x1f)) & ~white) | bits(is(0x7f));
  const uint32_t more = bits(in(0x80, 0xbf)), lead = bits(in(0xc2, 0xf4)),
                 bad = bits(_mm_or_si128(in(0xc0, 0xc1), in(0xf5, 0xff)));
  const uint32_t no_text = control | bad | (lead & ~(more >> 1)) | (more & ~((more | lead) << 1));
  if ((no_text & kSure) == 0) return true;
  const uint32_t ebcdic = bits(_mm_or_si128(_mm_or_si128(in(0xf0, 0xf9), is(0x40)), is(0x60)));
  return (ebcdic & kAllOf) == kAllOf || head[0] == 0x1f || head[0] == 0x78;
}
bool IsWorthALook(const Head& head) {
  return MayBeWorthALook(head) && WorthALook(head.data(), kHead);
}

bool Base64Head(std::string_view piece) {
  if (piece.size() < 16 || piece.size() % 4 == 1) return false;
  Head head{};
  for (size_t i = 0; i < 4; i++) {
    uint32_t v = 0;
    if (i == 1 && !MayBegin(head.data())) return false;
    for (size_t k = 0; k < 4; k++) v = v << 6 | uint32_t(kBase64Value[uint8_t(piece[4 * i + k])]);
    head[3 * i] = uint8_t(v >> 16), head[3 * i + 1] = uint8_t(v >> 8), head[3 * i + 2] = uint8_t(v);
  }
  return IsWorthALook(head);
}
bool HexHead(std::string_view piece) {
  if (piece.size() < 2 * kHead || piece.size() % 2 != 0) return false;
  Head head{};
  uint8_t last[8];
  if (!FromHex16(piece.data(), head.data()) || !FromHex16(piece.data() + 8, last)) return false;
  std::memcpy(head.data() + 8, last + 4, 4);
  return IsWorthALook(head);
}

/// One of the base64 alphabets' marks, which also join words and paths. At least 16 characters.
bool HasMark(std::string_view token) {
  __m128i any = _mm_setzero_si128();
  for (size_t i = 0; i < token.size(); i += 16) {
    const __m128i t = _mm_loadu_si128(
        reinterpret_cast<const __m128i*>(token.data() + std::min(i, token.size() - 16)));
    for (const char c : {'+', '/', '-', '_'})
      any = _mm_or_si128(any, _mm_cmpeq_epi8(t, _mm_set1_epi8(c)));
  }
  return _mm_movemask_epi8(any) != 0;
}

struct Blob {
  std::string masked;    // the content after masking
  bool removed = false;  // too large to look into
  std::vector<Finding> findings;
  bool blocked = false;
};

class BlobFinder {
 public:
  BlobFinder(const Masker::Impl& impl, const Context& context, int depth, Found& found)
      : impl_(impl), context_(context), depth_(depth), found_(found) {}

  void Run(std::string_view text, size_t from, size_t to) {
    for (size_t i = from; i < to;) {
      if (!IsBase64(text[i])) {
        i++;
        continue;
      }
      const size_t begin = i;
      while (i < text.size() && IsBase64(text[i])) i++;
      if (i - begin >= 16 && MayBeBlob(text.substr(begin, i - begin))) Token(text, begin, i);
      if (i - begin == 2) i = SpacedPairs(text, begin, i);
    }
  }

 private:
  /// The masked form of decoded bytes, when there is something in them.
  std::optional<Blob> Look(std::string_view bytes) {
    if (bytes.size() < 12) return std::nullopt;
    const bool gzip = bytes.starts_with("\x1f\x8b"),
               zlib = !gzip && bytes[0] == 0x78 &&
                      (uint8_t(bytes[0]) * 256 + uint8_t(bytes[1])) % 31 == 0;
    if (gzip || zlib) {
      bool too_large = false;
      const auto inflated = Inflate(bytes, too_large);
      if (!inflated) return std::nullopt;
      if (too_large) return Blob{.removed = true, .findings = {Removed()}};
      auto blob = LookText(*inflated);
      if (blob) blob->masked = Deflate(blob->masked, gzip);
      return blob;
    }
    if (AllEbcdicDigits(bytes)) {
      auto blob = LookText(FromEbcdic(bytes));
      if (blob) blob->masked = ToEbcdic(blob->masked);
      return blob;
    }
    if (!LooksLikeText(bytes)) return std::nullopt;
    return LookText(bytes);
  }

  Finding Removed() const {
    Finding f;
    const DetectorSpec* spec = impl_.pan ? impl_.pan : impl_.sad;
    if (spec) f.detector = spec->name;
    return f;
  }

  std::optional<Blob> LookText(std::string_view inner) {
    Found found;
    const size_t start = inner.find_first_not_of(" \t\r\n");
    bool json = false;
    if (start != std::string_view::npos && (inner[start] == '{' || inner[start] == '[')) {
      json = FindInJson(impl_, inner, JsonOptions{}, depth_ + 1, 1, found).has_value();
      if (!json) found = {};
    }
    if (!json) FindAll(impl_, inner, context_, depth_ + 1, found);
    if (found.Empty()) return std::nullopt;
    NormalizeEdits(found.edits);
    Blob blob;
    blob.masked = ApplyEdits(inner, found.edits);
    blob.findings = std::move(found.findings);
    blob.blocked = found.blocked;
    return blob;
  }

  void Report(size_t begin, size_t end, Blob& blob, std::string replacement) {
    for (Finding f : blob.findings) {
      f.begin = begin, f.end = end;
      f.evidence |= kDecoded;
      found_.findings.push_back(f);
    }
    found_.blocked |= blob.blocked;
    found_.edits.push_back(
        {begin, end, blob.removed ? "[removed: too large to look into]" : std::move(replacement)});
  }

  bool TryHex(std::string_view text, size_t begin, size_t end) {
    if (!HexHead(text.substr(begin, end - begin))) return false;
    std::string bytes;
    for (size_t i = begin; i < end; i += 2) {
      const int a = HexValue(text[i]), b = HexValue(text[i + 1]);
      if (a < 0 || b < 0) return false;
      bytes += char(a * 16 + b);
    }
    auto blob = Look(bytes);
    if (!blob) return false;
    std::string hex;
    bool upper = false;
    for (char c : text.substr(begin, end - begin)) upper |= c >= 'A' && c <= 'F';
    for (char c : blob->masked) {
      const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
      hex += digits[uint8_t(c) >> 4];
      hex += digits[uint8_t(c) & 15];
    }
    Report(begin, end, *blob, std::move(hex));
    return true;
  }

  bool TryBase64(std::string_view text, size_t begin, size_t end) {
    if (!Base64Head(text.substr(begin, end - begin))) return false;
    size_t padded = end;
    while (padded < text.size() && padded < end + 2 && text[padded] == '=') padded++;
    auto blob = Look(FromBase64(text.substr(begin, end - begin)));
    if (!blob) return false;
    const std::string_view token = text.substr(begin, end - begin);
    const bool url = token.find_first_of("-_") != std::string_view::npos;
    Report(begin, padded, *blob, ToBase64(blob->masked, url, padded > end));
    return true;
  }
  void Token(std::string_view text, size_t begin, size_t end) {
    // "=?utf-8?b?", "0x", "\x": the digits after the mark.
    size_t hex = begin;
    if (text[hex] == '0' && (text[hex + 1] | 0x20) == 'x') hex += 2;
    if (text[hex] == 'x' && hex > 0 && text[hex - 1] == '\\') hex += 1;
    if (TryHex(text, hex, end)) return;
    if (TryBase64(text, begin, end)) return;
    // Pieces of a path or of words joined by dashes.
    size_t piece = begin;
    for (size_t i = begin; i <= end; i++) {
      if (i < end && text[i] != '/' && text[i] != '-' && text[i] != '_' && text[i] != '+') continue;
      if (i - piece >= 16 && i - piece < end - begin) {
        if (!TryHex(text, piece, i)) TryBase64(text, piece, i);
      }
      piece = i + 1;
    }
  }

  /// 34 31 31 …: at least twelve pairs with the same mark between them.
  size_t SpacedPairs(std::string_view text, size_t begin, size_t end) {
    const auto pair = [&](size_t i) {
      return i + 1 < text.size() && HexValue(text[i]) >= 0 && HexValue(text[i + 1]) >= 0 &&
             (i + 2 >= text.size() || !IsBase64(text[i + 2]) || text[i + 2] == '-');
    };
    if (end >= text.size() || !pair(begin) ||
        (text[end] != ' ' && text[end] != ':' && text[end] != '-'))
      return end;
    const char mark = text[end];
    std::vector<size_t> at = {begin};
    size_t i = end + 1;
    while (pair(i)) {
      at.push_back(i);
      if (i + 2 >= text.size() || text[i + 2] != mark) break;
      i += 3;
    }
    const size_t last = at.back() + 2;
    // What may be characters: printable ASCII or EBCDIC digits; other pairs are a border.
    const auto byte = [&](size_t p) {
      return uint8_t(HexValue(text[p]) * 16 + HexValue(text[p + 1]));
    };
    for (size_t k = 0; k < at.size();) {
      size_t e = k;
      std::string bytes;
      for (; e < at.size(); e++) {
        const uint8_t b = byte(at[e]);
        if (!((b >= 0x20 && b < 0x7f) || (b >= 0xf0 && b <= 0xf9) || b == 0)) break;
        bytes += char(b);
      }
      if (e - k >= 12) PairRun(at[k], at[e - 1] + 2, mark, bytes);
      k = e + 1;
    }
    return last;
  }

  void PairRun(size_t begin, size_t end, char mark, const std::string& bytes) {
    auto blob = Look(bytes);
    if (!blob) return;
    std::string out;
    for (char c : blob->masked) {
      if (!out.empty()) out += mark;
      out += "0123456789abcdef"[uint8_t(c) >> 4];
      out += "0123456789abcdef"[uint8_t(c) & 15];
    }
    Report(begin, end, *blob, std::move(out));
  }

  const Masker::Impl& impl_;
  const Context& context_;
  int depth_;
  Found& found_;
};

}  // namespace

bool FromHex16(const char* text, uint8_t* bytes) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
  const __m128i digit = _mm_sub_epi8(t, _mm_set1_epi8('0'));
  const __m128i letter = _mm_sub_epi8(_mm_or_si128(t, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
  const __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
  const __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
  if (_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xffff) return false;
  const __m128i value =
      _mm_or_si128(_mm_and_si128(is_digit, digit),
                   _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
  const __m128i pairs = _mm_maddubs_epi16(value, _mm_set1_epi16(0x0110));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_packus_epi16(pairs, pairs));
  return true;
}

bool MayBeBlob(std::string_view token) {
  const auto number = [](std::string_view t) {  // of at least 16 characters
    if (t.size() >= 24) return false;
    const auto digits = [](const char* p) {
      const __m128i d =
          _mm_sub_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_set1_epi8('0'));
      return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(9)), d)) == 0xffff;
    };
    return digits(t.data()) && digits(t.data() + t.size() - 16);
  };
  const auto piece = [](std::string_view t) { return HexHead(t) || Base64Head(t); };
  if (number(token)) return false;
  if (piece(token)) return true;
  if (token[0] == '0' || token[0] == 'x') {
    const size_t skip = token[0] == 'x' ? 1 : (token[1] | 0x20) == 'x' ? 2 : 0;
    if (skip && HexHead(token.substr(skip))) return true;
  }
  if (!HasMark(token)) return false;
  for (size_t at = 0, i = 0; i <= token.size(); i++) {
    if (i < token.size() && kBase64Value[uint8_t(token[i])] < 62) continue;  // no + / - _
    const std::string_view part = token.substr(at, i - at);
    if (part.size() >= 16 && part.size() < token.size() && !number(part) && piece(part))
      return true;
    at = i + 1;
  }
  return false;
}

void FindInBlobs(const Masker::Impl& impl, std::string_view text, size_t from, size_t to,
                 const Context& context, int depth, Found& found) {
  if (depth >= kMaxDecodeDepth) return;
  BlobFinder(impl, context, depth, found).Run(text, from, to);
}

}  // namespace sallyport::mask
