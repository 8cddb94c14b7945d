#include "pg/row_mask.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "mask/evidence_words.h"
#include "mask/impl.h"
#include "mask/pg_value.h"
#include "mask/scan.h"
#include "pg/frame.h"
#include "pg/row_mask_binary.h"

namespace sallyport::pg {
namespace {

/// Evidence of a number that is not written in digits.
constexpr uint32_t kInOtherWords =
    mask::kFolded | mask::kDecoded | mask::kTrack | mask::kCardCode | mask::kPin;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

size_t CharLength(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

}  // namespace

bool HasManyDigits(std::string_view value) {
  return value.size() >= 12 && std::ranges::count_if(value, IsDigit) >= 12;
}

bool RenderSource(sql::SourceMask mask, std::string_view value, std::string& out) {
  if (mask == sql::SourceMask::null) return false;
  const size_t head = mask == sql::SourceMask::first6_last4 ? 6 : 0;
  const size_t tail = mask == sql::SourceMask::full ? 0 : 4;
  uint8_t high = 0;
  for (const char c : value) high |= static_cast<uint8_t>(c);
  if (high < 0x80) {
    const size_t n = value.size(), from = out.size();
    // A short value has no part that could be shown without showing most of it.
    const size_t first = n >= 12 ? head : 0, last = n >= 12 ? n - tail : n;
    out.append(value);
    for (size_t i = first; i < last; ++i) {
      char& c = out[from + i];
      c = IsDigit(c) ? '*' : c;
    }
    return true;
  }
  size_t characters = 0;
  for (size_t i = 0; i < value.size(); i += CharLength(static_cast<unsigned char>(value[i])))
    ++characters;
  size_t k = 0;
  for (size_t i = 0; i < value.size(); ++k) {
    const size_t n = std::min(CharLength(static_cast<unsigned char>(value[i])), value.size() - i);
    const bool shown = characters >= 12 && (k < head || k + tail >= characters);
    if (n > 1) {
      out += '*';  // digits of other scripts are digits
    } else {
      out += IsDigit(value[i]) && !shown ? '*' : value[i];
    }
    i += n;
  }
  return true;
}

RowMask::Rule RowMask::RuleFor(const ResultColumn& column, const sql::Catalog* catalog) const {
  Rule rule;
  rule.binary = column.binary;
  rule.type = TypeName(column.type);
  rule.unknown = rule.type.empty();
  if (rule.unknown) rule.type = "text";
  rule.hint = column.name;
  static constexpr auto is = [](std::string_view t, std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, t) != names.end();
  };
  const std::string_view t = rule.type;
  rule.textual = is(t, {"text", "varchar", "bpchar", "name", "char", "xml"}) && !rule.unknown;
  if (column.relation != 0 && catalog != nullptr) {
    const sql::CatalogRelation* relation = catalog->FindOid(column.relation);
    if (relation != nullptr) {
      for (const sql::CatalogColumn& c : relation->columns) {
        if (c.number != column.attribute) continue;
        if (c.classified()) rule.mask = c.mask, rule.look = Look::origin;
        rule.hint = c.name;  // what it really is, whatever it is called here
      }
    }
  }
  if (rule.look == Look::origin) return rule;
  const bool code = mask::ClassifyHint(column.name) == mask::HintClass::card_code ||
                    mask::ClassifyHint(rule.hint) == mask::HintClass::card_code;
  if (code && is(t, {"int2", "int4", "int8", "numeric", "text", "varchar", "bpchar"})) {
    if (mask::ClassifyHint(rule.hint) != mask::HintClass::card_code) rule.hint = column.name;
    rule.look = Look::always;
  } else if (is(t,
                {"bool",        "int2",      "int4",        "float4",    "oid",     "xid",
                 "xid8",        "tid",       "void",        "uuid",      "date",    "time",
                 "timetz",      "timestamp", "timestamptz", "interval",  "inet",    "cidr",
                 "macaddr",     "macaddr8",  "bit",         "varbit",    "pg_lsn",  "txid_snapshot",
                 "pg_snapshot", "point",     "lseg",        "path",      "box",     "polygon",
                 "line",        "circle",    "int4range",   "daterange", "tsrange", "tstzrange",
                 "int4[]"})) {
    rule.look = t == "int4[]" ? Look::always : Look::skip;
  } else if (rule.binary) {
    rule.look = is(t, {"int8", "float8", "numeric", "money"}) ? Look::number
                : rule.textual                                ? Look::text
                                                              : Look::always;
  } else if (rule.textual || rule.unknown || t == "regclass") {
    rule.look = Look::text;
  } else {
    rule.look = t == "bytea" ? Look::always : Look::digits;
  }
  return rule;
}

Result<std::shared_ptr<const RowMask>> RowMask::Make(const Shape& shape,
                                                     const sql::Analysis& analysis,
                                                     const sql::Catalog* catalog,
                                                     std::shared_ptr<const mask::Masker> masker) {
  auto made = std::make_shared<RowMask>();
  made->masker_ = std::move(masker);
  for (const ResultColumn& column : shape.columns)
    made->cells_.push_back(made->RuleFor(column, catalog));
  if (analysis.route == sql::Route::by_origin && analysis.returns_rows) {
    for (const sql::MaskedOutput& output : analysis.outputs) {
      const bool there = output.index < shape.columns.size() &&
                         shape.columns[output.index].relation == output.relation &&
                         shape.columns[output.index].attribute == output.column;
      if (!there) {
        return Fail(Errc::sql_not_maskable,
                    "a classified column is not where it was expected in the result");
      }
      Rule& rule = made->cells_[output.index];
      rule.look = Look::origin;
      rule.mask = output.mask == sql::SourceMask::none ? sql::SourceMask::full : output.mask;
    }
  }
  bool beside = false;
  for (size_t i = 0; i < made->cells_.size(); ++i) {
    Rule& rule = made->cells_[i];
    rule.joins =
        shape.columns[i].relation == 0 && rule.look == Look::text && (rule.textual || !rule.binary);
    made->joins_ |= rule.joins && beside;
    beside = rule.joins;
  }
  for (Rule& rule : made->cells_) {
    made->passes_ &= rule.look == Look::skip;
    made->origin_ |= rule.look == Look::origin;
    rule.kind =
        rule.mask == sql::SourceMask::null ? mask::DetectorKind::sad : mask::DetectorKind::pan;
  }
  return std::shared_ptr<const RowMask>(std::move(made));
}

bool RowMask::Cell(size_t column, std::string_view value, std::string& out, bool& null,
                   RowTally& tally) const {
  const Rule& rule = cells_[column];
  switch (rule.look) {
    case Look::skip:
      return false;
    case Look::origin:
      tally.Add(column, rule.kind);
      // Of a type that we do not know, the binary form may be anything but characters.
      null = !(rule.textual || (rule.unknown && !rule.binary)) || !RenderOrigin(rule, value, out);
      return true;
    case Look::text:
      if (masker_->impl().regexes.empty() && !mask::MayHoldCardData(value)) return false;
      break;
    case Look::digits:
      if (masker_->impl().regexes.empty() && !HasManyDigits(value)) return false;
      break;
    case Look::number:
      if (!BinaryNumberMayBeCard(rule.type, value)) return false;
      break;
    case Look::always:
      break;
  }
  return Scan(rule, column, value, out, null, tally);
}

/// The mask of the origin hides digits. Where letters tell the number (words, an encoding), none is
/// left.
bool RowMask::RenderOrigin(const Rule& rule, std::string_view value, std::string& out) const {
  const size_t from = out.size();
  if (!RenderSource(rule.mask, value, out)) return false;
  if (std::ranges::none_of(value, IsLetter)) return true;
  const std::span<char> shown = std::span(out).subspan(from);
  const auto tells = [&](std::string_view text, uint32_t evidence) {
    std::vector<mask::Finding> findings;
    masker_->FindText(text, {.hint = rule.hint}, findings);
    return std::ranges::any_of(
        findings, [&](const mask::Finding& f) { return (f.evidence & evidence) != 0; });
  };
  if (tells(value, kInOtherWords) || tells({shown.data(), shown.size()}, ~0u)) {
    for (char& c : shown) c = IsLetter(c) || IsDigit(c) ? '*' : c;
  }
  return true;
}

bool RowMask::Scan(const Rule& rule, size_t column, std::string_view value, std::string& out,
                   bool& null, RowTally& tally) const {
  const mask::Context context{.hint = rule.hint};
  const auto take = [&](const mask::PgMasked& masked) {
    for (const mask::Finding& f : masked.found.findings) tally.Add(column, f.kind);
    if (masked.bytes && !masked.found.blocked)
      out.append(*masked.bytes);
    else
      null = true;
    return true;
  };
  if (rule.binary && (rule.type.ends_with("range") || rule.type == "money")) {
    if (!BinaryHoldsCard(masker_->impl(), rule.type, value, context)) return false;
    tally.Add(column, mask::DetectorKind::pan);
    null = true;
    return true;
  }
  const mask::PgType type{.name = rule.type, .binary = rule.binary};
  if (auto masked = mask::MaskPgValue(masker_->impl(), type, value, context)) return take(*masked);
  if (!rule.unknown || !rule.binary) return false;
  // A type of somebody's own: it may be a composite, an array, an hstore.
  for (const std::string_view name : {"record", "anyarray", "hstore"}) {
    const mask::PgType guess{.name = name, .binary = true};
    if (auto masked = mask::MaskPgValue(masker_->impl(), guess, value, context))
      return take(*masked);
  }
  return false;
}

RowMask::Long RowMask::LongCell(size_t column) const {
  switch (cells_[column].look) {
    case Look::skip:
      return Long::pass;
    case Look::origin:
      return Long::star;
    default:
      // Numbers inside a binary array or composite are no text that a scan of the bytes would find.
      return cells_[column].binary && !cells_[column].textual ? Long::star : Long::scan;
  }
}

void RowTally::Add(size_t column, mask::DetectorKind kind, uint32_t count) {
  if (cells_.size() <= column) cells_.resize(column + 1);
  Cell& cell = cells_[column];
  switch (kind) {
    case mask::DetectorKind::pan:
      cell.pan += count;
      break;
    case mask::DetectorKind::sad:
      cell.sad += count;
      break;
    case mask::DetectorKind::regex:
      cell.regex += count;
      break;
  }
}

void RowTally::Add(size_t column, const mask::Tally& tally) {
  if (tally.pan != 0) Add(column, mask::DetectorKind::pan, tally.pan);
  if (tally.sad != 0) Add(column, mask::DetectorKind::sad, tally.sad);
  if (tally.regex != 0) Add(column, mask::DetectorKind::regex, tally.regex);
}

std::vector<op::MaskCount> RowTally::Counts() const {
  std::vector<op::MaskCount> counts;
  for (size_t i = 0; i < cells_.size(); ++i) {
    const std::string place = "/" + std::to_string(i);
    if (cells_[i].pan != 0) counts.push_back({"pan", place, cells_[i].pan});
    if (cells_[i].sad != 0) counts.push_back({"sad", place, cells_[i].sad});
    if (cells_[i].regex != 0) counts.push_back({"regex", place, cells_[i].regex});
  }
  return counts;
}

}  // namespace sallyport::pg
