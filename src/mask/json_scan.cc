#include "mask/json_scan.h"

#include <algorithm>
#include <array>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }
int HexValue(char c) { return IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10; }

class Scanner {
 public:
  Scanner(std::string_view json, size_t max_depth, std::vector<JsonNode>& nodes)
      : p_(json.data()), n_(uint32_t(json.size())), max_depth_(max_depth), nodes_(nodes) {}

  bool Run() {
    Space();
    if (!Value(0, 0)) return false;
    while (!open_.empty()) {
      if (!Member()) return false;
    }
    Space();
    return i_ == n_;
  }

 private:
  char At() const { return i_ < n_ ? p_[i_] : '\0'; }
  void Space() {
    while (i_ < n_ && (p_[i_] == ' ' || p_[i_] == '\n' || p_[i_] == '\r' || p_[i_] == '\t')) i_++;
  }

  /// One member of the innermost open value, or its end.
  bool Member() {
    const uint32_t top = open_.back();
    const bool object = nodes_[top].type == JsonType::object;
    const char close = object ? '}' : ']';
    Space();
    if (At() == close) {
      if (after_comma_) return false;
      Close(top);
      return true;
    }
    if (counts_.back() > 0) {
      if (!after_comma_) return false;
    }
    after_comma_ = false;
    uint32_t key_begin = 0, key_end = 0;
    if (object) {
      key_begin = i_;
      if (At() != '"' || !String()) return false;
      key_end = i_;
      Space();
      if (At() != ':') return false;
      i_++;
      Space();
    }
    return Value(key_begin, key_end);
  }

  void Close(uint32_t top) {
    i_++;
    nodes_[top].end = i_;
    nodes_[top].next = uint32_t(nodes_.size());
    open_.pop_back();
    counts_.pop_back();
    Separator();
  }
  /// After a complete value: takes the comma when one follows.
  void Separator() {
    if (open_.empty()) return;
    Space();
    if (At() == ',') i_++, after_comma_ = true;
  }

  bool Value(uint32_t key_begin, uint32_t key_end) {
    JsonNode node{};
    node.begin = i_;
    node.key_begin = key_begin, node.key_end = key_end;
    node.parent = open_.empty() ? -1 : int32_t(open_.back());
    node.index = open_.empty() ? 0 : counts_.back()++;
    const char c = At();
    if (c == '{' || c == '[') {
      if (open_.size() >= max_depth_) return false;
      node.type = c == '{' ? JsonType::object : JsonType::array;
      i_++;
      open_.push_back(uint32_t(nodes_.size()));
      counts_.push_back(0);
      nodes_.push_back(node);
      return true;
    }
    if (c == '"') {
      node.type = JsonType::string;
      if (!String()) return false;
    } else if (c == '-' || IsDigit(c)) {
      node.type = JsonType::number;
      if (!Number()) return false;
    } else {
      node.type = JsonType::literal;
      if (!Literal()) return false;
    }
    node.end = i_;
    node.next = uint32_t(nodes_.size()) + 1;
    nodes_.push_back(node);
    Separator();
    return true;
  }

  bool String() {
    i_++;
    for (;;) {
      SkipPlain();
      if (i_ >= n_) return false;
      const char c = p_[i_];
      if (c == '"') {
        i_++;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') {
        i_++;
        continue;
      }
      const char e = i_ + 1 < n_ ? p_[i_ + 1] : '\0';
      if (e == 'u') {
        if (i_ + 6 > n_) return false;
        for (uint32_t k = i_ + 2; k < i_ + 6; k++) {
          if (!IsHex(p_[k])) return false;
        }
        i_ += 6;
      } else if (e != '\0' && std::strchr("\"\\/bfnrt", e)) {
        i_ += 2;
      } else {
        return false;
      }
    }
  }
  /// To the next quote, backslash or control character, 16 bytes at a time.
  void SkipPlain() {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'), low = _mm_set1_epi8(0x1f);
    while (i_ + 16 <= n_) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p_ + i_));
      const __m128i hit =
          _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)),
                       _mm_cmpeq_epi8(_mm_min_epu8(v, low), v));
      const unsigned mask = unsigned(_mm_movemask_epi8(hit));
      if (mask != 0) {
        i_ += uint32_t(__builtin_ctz(mask));
        return;
      }
      i_ += 16;
    }
#endif
    while (i_ < n_ && p_[i_] != '"' && p_[i_] != '\\' && static_cast<unsigned char>(p_[i_]) >= 0x20)
      i_++;
  }

  bool Digits() {
    const uint32_t from = i_;
    while (i_ < n_ && IsDigit(p_[i_])) i_++;
    return i_ > from;
  }
  bool Number() {
    if (At() == '-') i_++;
    if (At() == '0') {
      i_++;
    } else if (!Digits()) {
      return false;
    }
    if (At() == '.') {
      i_++;
      if (!Digits()) return false;
    }
    if ((At() | 0x20) == 'e') {
      i_++;
      if (At() == '+' || At() == '-') i_++;
      if (!Digits()) return false;
    }
    return true;
  }
  bool Literal() {
    for (std::string_view word : {"true", "false", "null"}) {
      if (n_ - i_ >= word.size() && std::memcmp(p_ + i_, word.data(), word.size()) == 0) {
        i_ += uint32_t(word.size());
        return true;
      }
    }
    return false;
  }

  const char* p_;
  uint32_t i_ = 0, n_;
  size_t max_depth_;
  std::vector<JsonNode>& nodes_;
  std::vector<uint32_t> open_, counts_;
  bool after_comma_ = false;
};

void AppendUtf8(std::string& s, uint32_t cp) {
  if (cp < 0x80) {
    s += char(cp);
  } else if (cp < 0x800) {
    s += char(0xc0 | cp >> 6), s += char(0x80 | (cp & 63));
  } else if (cp < 0x10000) {
    s += char(0xe0 | cp >> 12), s += char(0x80 | (cp >> 6 & 63)), s += char(0x80 | (cp & 63));
  } else {
    s += char(0xf0 | cp >> 18), s += char(0x80 | (cp >> 12 & 63));
    s += char(0x80 | (cp >> 6 & 63)), s += char(0x80 | (cp & 63));
  }
}

uint32_t Hex4(std::string_view s, size_t i) {
  uint32_t v = 0;
  for (size_t k = i; k < i + 4; k++) v = v * 16 + uint32_t(HexValue(s[k]));
  return v;
}

}  // namespace

bool ScanJson(std::string_view json, size_t max_depth, std::vector<JsonNode>& nodes) {
  if (json.size() >= UINT32_MAX) return false;
  return Scanner(json, max_depth, nodes).Run();
}

JsonString DecodeJsonString(std::string_view token) {
  JsonString out;
  const std::string_view body = token.substr(1, token.size() - 2);
  if (body.find('\\') == std::string_view::npos) {
    out.text = body;
    return out;
  }
  for (size_t i = 0; i < body.size();) {
    const size_t at = i, from = out.text.size();
    if (body[i] != '\\') {  // to the next escape in one go
      const size_t end = std::min(body.find('\\', i), body.size());
      out.text += body.substr(i, end - i);
      for (; i < end; i++) out.map.push_back(uint32_t(i + 1));
      continue;
    }
    if (body[i + 1] == 'u') {
      uint32_t cp = Hex4(body, i + 2);
      i += 6;
      if (cp >= 0xd800 && cp < 0xdc00 && i + 6 <= body.size() && body[i] == '\\' &&
          body[i + 1] == 'u') {
        const uint32_t low = Hex4(body, i + 2);
        if (low >= 0xdc00 && low < 0xe000)
          cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00), i += 6;
      }
      AppendUtf8(out.text, cp >= 0xd800 && cp < 0xe000 ? 0xfffd : cp);
    } else {
      constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
      out.text += kTo[kFrom.find(body[i + 1])];
      i += 2;
    }
    out.map.insert(out.map.end(), out.text.size() - from, uint32_t(at + 1));
  }
  out.map.push_back(uint32_t(body.size() + 1));
  return out;
}

std::string EscapeJson(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += "0123456789abcdef"[c >> 4];
          out += "0123456789abcdef"[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out;
}

}  // namespace sallyport::mask
