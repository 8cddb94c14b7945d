#include "mask/pg_value.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "mask/evidence_words.h"
#include "mask/fold.h"
#include "mask/join.h"
#include "mask/json_mask.h"
#include "mask/number_text.h"
#include "mask/pg_type.h"
#include "mask/render.h"
#include "mask/sensitive.h"

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class Value {
 public:
  Value(const Masker::Impl& impl, const Context& context) : impl_(impl), context_(context) {}

  std::optional<PgMasked> Look(const PgType& type, std::string_view v, int depth = 0) {
    if (depth > 4) return std::nullopt;
    const PgFamily family = PgFamilyOf(type.name);
    if (family == PgFamily::skip) return std::nullopt;
    if (auto code = CardCode(family, type, v)) return code;
    return type.binary ? Binary(family, type, v, depth) : Text(family, type, v);
  }

  /// Fields of a record or a COPY tuple; the type is asked per field.
  template <class TypeAt>
  std::optional<PgMasked> Fields(std::string_view v, size_t at, uint32_t count, bool oids,
                                 std::string out, TypeAt type_at, size_t* end, int depth) {
    PgMasked all;
    for (uint32_t k = 0; k < count; k++) {
      uint32_t oid = 0;
      if (oids) {
        if (at + 4 > v.size()) return std::nullopt;
        oid = Be32(v, at);
        PutBe(out, oid, 4);
        at += 4;
      }
      if (at + 4 > v.size()) return std::nullopt;
      const uint32_t n = Be32(v, at);
      at += 4;
      if (n == 0xffffffff) {
        PutBe(out, n, 4);
        continue;
      }
      if (n > v.size() - at) return std::nullopt;
      const std::string_view field = v.substr(at, n);
      at += n;
      auto masked = Look({type_at(oid, field), true}, field, depth + 1);
      if (!masked) {
        PutBe(out, n, 4);
        out += field;
      } else {
        Merge(all.found, masked->found);
        PutBe(out, masked->bytes ? masked->bytes->size() : 0xffffffff, 4);
        if (masked->bytes) out += *masked->bytes;
      }
    }
    if (end) *end = at;
    all.bytes = std::move(out);
    return all;
  }

 private:
  static void Merge(Found& into, const Found& from) {
    into.findings.insert(into.findings.end(), from.findings.begin(), from.findings.end());
    into.blocked |= from.blocked;
  }

  std::optional<PgMasked> CardCode(PgFamily family, const PgType& type, std::string_view v) const {
    if (!impl_.sad || ClassifyHint(context_.hint) != HintClass::card_code) return std::nullopt;
    std::string text(v);
    if (type.binary && family == PgFamily::integer && v.size() <= 8) {
      uint64_t n = 0;
      for (char c : v) n = n << 8 | uint8_t(c);
      text = std::to_string(n);
    }
    if (text.size() < 3 || text.size() > 4 || !std::ranges::all_of(text, IsDigit))
      return std::nullopt;
    PgMasked m;
    if (family == PgFamily::text) m.bytes = std::string(kSadRemoved);
    m.found.findings.push_back({0, v.size(), impl_.sad->name, DetectorKind::sad, "", kCardCode});
    m.found.blocked = impl_.sad->action == Action::block;
    return m;
  }

  Found InText(std::string_view text) const {
    Found found;
    FindAll(impl_, text, context_, 0, found);
    NormalizeEdits(found.edits);
    return found;
  }
  std::optional<PgMasked> AsText(std::string_view v, Found found) const {
    if (found.Empty()) return std::nullopt;
    PgMasked m;
    NormalizeEdits(found.edits);
    m.bytes = ApplyEdits(v, found.edits);
    m.found = std::move(found);
    m.in_place = true;
    return m;
  }
  std::optional<PgMasked> AsJson(std::string_view v) const {
    Found found;
    if (!FindInJson(impl_, v, JsonOptions{}, 0, 1, found)) {
      found = {};
      FindAll(impl_, v, context_, 0, found);
    }
    return AsText(v, std::move(found));
  }

  /// A number that is a card number: its digits; the finding goes to `found`.
  std::string CardDigits(std::string digits, Found& found) const {
    if (digits.size() < 12 || digits.size() > 19) return {};
    Found inner;
    FindAll(impl_, digits, context_, 99, inner);
    if (inner.Empty()) return {};
    Merge(found, inner);
    return digits;
  }

  std::optional<PgMasked> Text(PgFamily family, const PgType& type, std::string_view v) {
    PgMasked m;
    switch (family) {
      case PgFamily::integer:
      case PgFamily::numeric:
      case PgFamily::float8: {
        const std::string digits = CardDigits(IntegerDigits(v), m.found);
        if (digits.empty()) return std::nullopt;
        m.bytes = NumericSurrogate(impl_, digits);
        const size_t dot = v.find('.');
        if (dot != std::string_view::npos && v.find_first_of("eE") == std::string_view::npos) {
          *m.bytes += '.' + std::string(v.size() - dot - 1, '0');
        }
        return m;
      }
      case PgFamily::money: {
        std::string plain;
        for (char c : v.substr(0, std::min(v.rfind('.'), v.size()))) {
          if (IsDigit(c)) plain += c;
        }
        return CardDigits(plain, m.found).empty() ? std::nullopt : std::optional(m);
      }
      case PgFamily::range: {
        m.found = InText(v);
        return m.found.Empty() ? std::nullopt : std::optional(m);
      }
      case PgFamily::array:
        return ArrayText(type, v);
      case PgFamily::json:
      case PgFamily::jsonb:
        return AsJson(v);
      case PgFamily::bytea:
        return ByteaText(v);
      default:
        return AsText(v, InText(v));
    }
  }

  std::optional<PgMasked> ArrayText(const PgType& type, std::string_view v) {
    if (v.size() < 2 || v.front() != '{' || v.back() != '}') return AsText(v, InText(v));
    const std::string_view element =
        type.name.ends_with("[]") ? type.name.substr(0, type.name.size() - 2) : "text";
    const PgFamily family = PgFamilyOf(element);
    std::vector<std::string> pieces;
    size_t at = 1;
    bool simple = true;
    for (size_t i = 1; i < v.size(); i++) {
      simple &= v[i] != '"' && v[i] != '{';
      if (v[i] != ',' && i + 1 != v.size()) continue;
      pieces.emplace_back(v.substr(at, i - at));
      at = i + 1;
    }
    const bool number =
        family == PgFamily::integer || family == PgFamily::numeric || family == PgFamily::float8;
    if (simple && impl_.pan) {
      const bool digits = std::ranges::all_of(pieces, [](const std::string& p) {
        return !p.empty() && p.size() <= 15 && std::ranges::all_of(p, IsDigit);
      });
      const auto match = digits
                             ? JoinedNumber(pieces, ClassifyHint(context_.hint) == HintClass::card)
                             : std::nullopt;
      if (match) {
        PgMasked m;
        std::string out = "{";
        const auto hidden = HidePieces(
            pieces, impl_.pan->render == Render::token ? Render::full : impl_.pan->render);
        for (size_t k = 0; k < hidden.size(); k++) {
          out += (k ? "," : "") + (number && hidden[k] != pieces[k] ? std::string("0") : hidden[k]);
        }
        m.bytes = out + "}";
        m.found.findings.push_back({0, v.size(), impl_.pan->name, DetectorKind::pan, match->network,
                                    kLuhn | kIin | kJoined});
        m.found.blocked = impl_.pan->action == Action::block;
        return m;
      }
    }
    if (!number || !simple) return AsText(v, InText(v));
    PgMasked m;
    std::string out = "{";
    for (size_t k = 0; k < pieces.size(); k++) {
      const auto masked = Text(family, {element, false}, pieces[k]);
      if (masked) Merge(m.found, masked->found);
      out += (k ? "," : "") + (masked ? masked->bytes.value_or("NULL") : pieces[k]);
    }
    m.bytes = out + "}";
    return m.found.Empty() ? std::nullopt : std::optional(m);
  }

  /// Packed decimal: every nibble a digit, F as padding.
  std::optional<PgMasked> Bcd(std::string_view v) const {
    if (v.size() < 6 || v.size() > 10) return std::nullopt;
    std::string digits;
    for (size_t i = 0; i < v.size() * 2; i++) {
      const int nibble = uint8_t(v[i / 2]) >> (i % 2 ? 0 : 4) & 15;
      if (nibble <= 9) {
        digits += char('0' + nibble);
      } else if (nibble != 15 || i + 1 != v.size() * 2) {
        return std::nullopt;
      }
    }
    PgMasked m;
    if (CardDigits(digits, m.found).empty()) return std::nullopt;
    std::string out(v);
    const Render render = impl_.pan ? impl_.pan->render : Render::full;
    for (size_t i = 0; i < digits.size(); i++) {
      if (!Visible(render, int(i), int(digits.size()))) out[i / 2] &= char(i % 2 ? 0xf0 : 0x0f);
    }
    m.bytes = std::move(out);
    return m;
  }
  static bool IsText(std::string_view s) {
    for (char c : s) {
      const uint8_t b = uint8_t(c);
      if ((b < 0x20 && b != '\t' && b != '\n' && b != '\r' && b != 0) || b == 0x7f) return false;
    }
    return true;
  }
  std::optional<PgMasked> Bytes(std::string_view v) const {
    if (auto bcd = Bcd(v)) return bcd;
    if (!IsText(v)) return std::nullopt;
    return AsText(v, InText(v));
  }
  std::optional<PgMasked> ByteaText(std::string_view v) const {
    if (!v.starts_with("\\x")) return AsText(v, InText(v));
    const auto nibble = [](char c) {
      return IsDigit(c)                               ? c - '0'
             : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                      : -1;
    };
    std::string bytes;
    for (size_t i = 2; i + 1 < v.size(); i += 2) {
      const int a = nibble(v[i]), b = nibble(v[i + 1]);
      if (a < 0 || b < 0) return AsText(v, InText(v));
      bytes += char(a * 16 + b);
    }
    auto m = Bytes(bytes);
    if (!m) return m;
    std::string hex = "\\x";
    for (char c : *m->bytes)
      hex += "0123456789abcdef"[uint8_t(c) >> 4], hex += "0123456789abcdef"[uint8_t(c) & 15];
    m->bytes = std::move(hex);
    m->in_place = false;
    return m;
  }

  std::optional<PgMasked> Binary(PgFamily family, const PgType& type, std::string_view v,
                                 int depth) {
    switch (family) {
      case PgFamily::integer:
        return Int8(v);
      case PgFamily::numeric:
        return Numeric(v);
      case PgFamily::float8:
        return Float8(v);
      case PgFamily::array:
        return Array(v, depth);
      case PgFamily::bytea:
        return Bytes(v);
      case PgFamily::hstore:
        return Hstore(v);
      case PgFamily::json:
        return AsJson(v);
      case PgFamily::jsonb: {
        if (v.empty() || v[0] != 1) return std::nullopt;
        auto m = AsJson(v.substr(1));
        if (!m) return m;
        m->bytes = '\x01' + *m->bytes;
        m->in_place = false;
        return m;
      }
      case PgFamily::record: {
        if (v.size() < 4) return std::nullopt;
        auto m = Fields(
            v, 4, Be32(v, 0), true, std::string(v.substr(0, 4)),
            [](uint32_t oid, std::string_view) { return PgTypeOfOid(oid); }, nullptr, depth);
        return m && !m->found.Empty() ? m : std::nullopt;
      }
      case PgFamily::money:
      case PgFamily::range:
        return std::nullopt;
      default:
        if (!IsText(v)) return std::nullopt;
        (void)type;
        return AsText(v, InText(v));
    }
  }

  std::optional<PgMasked> Int8(std::string_view v) const {
    if (v.size() != 8) return std::nullopt;
    const int64_t n = int64_t(uint64_t(Be32(v, 0)) << 32 | Be32(v, 4));
    PgMasked m;
    const std::string digits =
        CardDigits(std::to_string(n < 0 ? 0 - uint64_t(n) : uint64_t(n)), m.found);
    if (digits.empty()) return std::nullopt;
    m.bytes.emplace();
    PutBe(*m.bytes, std::stoull(NumericSurrogate(impl_, digits)), 8);
    return m;
  }
  std::optional<PgMasked> Float8(std::string_view v) const {
    if (v.size() != 8) return std::nullopt;
    const double d = std::fabs(std::bit_cast<double>(uint64_t(Be32(v, 0)) << 32 | Be32(v, 4)));
    if (!(d >= 1e11 && d < 1e19)) return std::nullopt;
    PgMasked m;
    const std::string digits = CardDigits(std::to_string(uint64_t(d)), m.found);
    if (digits.empty()) return std::nullopt;
    m.bytes.emplace();
    PutBe(*m.bytes, std::bit_cast<uint64_t>(double(std::stoull(NumericSurrogate(impl_, digits)))),
          8);
    return m;
  }
  /// numeric: digit count, weight of the first, sign, display scale, digits in base 10000.
  std::optional<PgMasked> Numeric(std::string_view v) const {
    if (v.size() < 8) return std::nullopt;
    const uint32_t count = Be16(v, 0);
    const int weight = int16_t(Be16(v, 2));
    if (v.size() != 8 + 2 * size_t(count) || weight < 2 || weight > 9) return std::nullopt;
    std::string digits;
    for (int k = 0; k <= weight; k++) {
      const std::string group =
          std::to_string(uint32_t(k) < count ? Be16(v, 8 + 2 * size_t(k)) : 0);
      digits += std::string(group.size() < 4 ? 4 - group.size() : 0, '0') + group;
    }
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
    PgMasked m;
    if (CardDigits(digits, m.found).empty()) return std::nullopt;
    std::string s = NumericSurrogate(impl_, digits);
    s.insert(0, (4 - s.size() % 4) % 4, '0');
    std::string out;
    PutBe(out, s.size() / 4, 2);
    PutBe(out, s.size() / 4 - 1, 2);
    out += v.substr(4, 4);
    for (size_t k = 0; k < s.size(); k += 4) PutBe(out, std::stoul(s.substr(k, 4)), 2);
    m.bytes = std::move(out);
    return m;
  }
  std::optional<PgMasked> Array(std::string_view v, int depth) {
    if (v.size() < 12) return std::nullopt;
    const uint32_t dims = Be32(v, 0);
    if (dims == 0 || dims > 6 || v.size() < 12 + 8 * size_t(dims)) return std::nullopt;
    uint64_t count = 1;
    for (uint32_t k = 0; k < dims; k++) count *= Be32(v, 12 + 8 * size_t(k));
    if (count > v.size() / 4) return std::nullopt;
    const size_t at = 12 + 8 * size_t(dims);
    const std::string_view element = PgTypeOfOid(Be32(v, 8));
    auto m = Fields(
        v, at, uint32_t(count), false, std::string(v.substr(0, at)),
        [&](uint32_t, std::string_view) { return element; }, nullptr, depth);
    return m && !m->found.Empty() ? m : std::nullopt;
  }
  std::optional<PgMasked> Hstore(std::string_view v) {
    if (v.size() < 4) return std::nullopt;
    const uint32_t pairs = Be32(v, 0);
    if (pairs > v.size() / 8) return std::nullopt;
    auto m = Fields(
        v, 4, pairs * 2, false, std::string(v.substr(0, 4)),
        [](uint32_t, std::string_view) { return std::string_view("text"); }, nullptr, 0);
    return m && !m->found.Empty() ? m : std::nullopt;
  }

  const Masker::Impl& impl_;
  const Context& context_;
};

}  // namespace

std::optional<PgMasked> MaskPgValue(const Masker::Impl& impl, const PgType& type,
                                    std::string_view value, const Context& context) {
  return Value(impl, context).Look(type, value);
}

std::optional<PgMasked> MaskPgBinaryCopy(const Masker::Impl& impl, std::string_view v,
                                         const Context& context) {
  constexpr std::string_view kSignature("PGCOPY\n\xff\r\n\0", 11);
  if (!v.starts_with(kSignature) || v.size() < 19) return std::nullopt;
  size_t at = 19 + size_t(Be32(v, 15));
  if (at > v.size()) return std::nullopt;
  Value value(impl, context);
  PgMasked all;
  std::string out(v.substr(0, at));
  while (at + 2 <= v.size() && Be16(v, at) != 0xffff) {
    size_t end = at;
    auto row = value.Fields(
        v, at + 2, Be16(v, at), false, std::string(v.substr(at, 2)),
        [](uint32_t, std::string_view field) -> std::string_view {
          return field.size() == 8 && uint8_t(field[0]) < 0x30 ? "int8" : "text";
        },
        &end, 0);
    if (!row) break;
    all.found.findings.insert(all.found.findings.end(), row->found.findings.begin(),
                              row->found.findings.end());
    all.found.blocked |= row->found.blocked;
    out += *row->bytes;
    at = end;
  }
  out += v.substr(at);
  all.bytes = std::move(out);
  return all.found.Empty() ? std::nullopt : std::optional(all);
}

}  // namespace sallyport::mask
