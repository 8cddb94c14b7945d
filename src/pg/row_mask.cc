#include "pg/row_mask.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "mask/evidence_words.h"
#include "mask/impl.h"
#include "mask/pg_value.h"
#include "mask/scan.h"
#include "pg/frame.h"
#include "pg/row_mask_binary.h"

namespace sallyport::pg {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Twelve digits or more, wherever they stand: less is no card number.
bool ManyDigits(std::string_view value) {
  return value.size() >= 12 && std::ranges::count_if(value, IsDigit) >= 12;
}

std::unexpected<Error> BadRow() {
  return Fail(Errc::upstream_protocol, "a row does not fit its description");
}

/// f(column, value, is_null) for each cell; false: malformed, or f said so.
template <class F>
bool EachCell(std::string_view body, size_t columns, F f) {
  if (body.size() < 2 || Load16(body.data()) != columns) return false;
  size_t at = 2;
  for (size_t i = 0; i < columns; ++i) {
    if (at + 4 > body.size()) return false;
    const uint32_t n = Load32(body.data() + at);
    at += 4;
    if (n == 0xffffffff) {
      if (!f(i, std::string_view(), true)) return false;
      continue;
    }
    if (n > body.size() - at) return false;
    if (!f(i, body.substr(at, n), false)) return false;
    at += n;
  }
  return at == body.size();
}

size_t CharLength(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

}  // namespace

bool RenderSource(sql::SourceMask mask, std::string_view value, std::string& out) {
  if (mask == sql::SourceMask::null) return false;
  size_t characters = 0;
  for (size_t i = 0; i < value.size(); i += CharLength(static_cast<unsigned char>(value[i])))
    ++characters;
  const size_t head = mask == sql::SourceMask::first6_last4 ? 6 : 0;
  const size_t tail = mask == sql::SourceMask::full ? 0 : 4;
  size_t k = 0;
  for (size_t i = 0; i < value.size(); ++k) {
    const size_t n = std::min(CharLength(static_cast<unsigned char>(value[i])), value.size() - i);
    // A short value has no part that could be shown without showing most of it.
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

Result<bool> RowMask::Suspicious(std::string_view rows) const {
  if (passes_) return false;
  if (origin_) return true;
  thread_local std::string texts;
  texts.clear();
  bool found = false;
  const bool patterns = !masker_->impl().regexes.empty();
  for (size_t at = 0; at < rows.size();) {
    const size_t total = size_t{Load32(rows.data() + at + 1)} + 1;
    const bool read = EachCell(rows.substr(at + 5, total - 5), cells_.size(),
                               [&](size_t i, std::string_view value, bool null) {
                                 if (null || found) return true;
                                 switch (cells_[i].look) {
                                   case Look::skip:
                                     break;
                                   case Look::text:
                                     if (patterns) found = true;
                                     if (value.size() >= 3) texts.append(value).append("\n\n");
                                     break;
                                   case Look::digits:
                                     found = patterns || ManyDigits(value);
                                     break;
                                   case Look::number:
                                     found = BinaryNumberMayBeCard(cells_[i].type, value);
                                     break;
                                   case Look::always:
                                   case Look::origin:
                                     found = true;
                                     break;
                                 }
                                 return true;
                               });
    if (!read) return BadRow();
    if (joins_ && !found) found = !Joined(rows.substr(at + 5, total - 5)).empty();
    at += total;
  }
  return found || (!texts.empty() && mask::MayHoldCardData(texts));
}

Result<> RowMask::Rewrite(std::string_view rows, std::string& out, RowTally& tally) const {
  for (size_t at = 0; at < rows.size();) {
    const size_t total = size_t{Load32(rows.data() + at + 1)} + 1;
    SALLYPORT_CHECK(Row(rows.substr(at, total), out, tally));
    at += total;
  }
  return {};
}

/// Appends one whole DataRow, masked where needed.
std::vector<bool> RowMask::Joined(std::string_view body) const {
  std::vector<bool> parts;
  std::string digits;
  size_t first = 0;
  const auto close = [&](size_t end) {
    std::vector<mask::Finding> findings;
    if (end - first > 1 && digits.size() >= 13 && digits.size() <= 19)
      masker_->FindText(digits, {}, findings);
    if (!findings.empty()) {
      parts.resize(cells_.size());
      std::fill(parts.begin() + ptrdiff_t(first), parts.begin() + ptrdiff_t(end), true);
    }
    digits.clear();
  };
  EachCell(body, cells_.size(), [&](size_t i, std::string_view value, bool is_null) {
    const bool part = cells_[i].joins && !is_null && !value.empty() && value.size() < 19 &&
                      std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (!part) {
      close(i);
      first = i + 1;
    } else {
      digits.append(value);
    }
    return true;
  });
  close(cells_.size());
  return parts;
}

Result<> RowMask::Row(std::string_view message, std::string& out, RowTally& tally) const {
  const size_t start = out.size();
  const std::vector<bool> parts = joins_ ? Joined(message.substr(5)) : std::vector<bool>();
  out.append(message.substr(0, 7));
  const bool read = EachCell(
      message.substr(5), cells_.size(), [&](size_t i, std::string_view value, bool is_null) {
        const size_t head = out.size();
        out.append(4, '\xff');
        if (is_null) return true;
        bool null = false;
        if (!parts.empty() && parts[i]) {
          out.append(value.size(), '*');
          tally.Add(i, mask::DetectorKind::pan);
        } else if (cells_[i].look == Look::skip || !Cell(i, value, out, null, tally))
          out.append(value);
        if (null) return true;
        Store32(out.data() + head, static_cast<uint32_t>(out.size() - head - 4));
        return true;
      });
  if (!read) return BadRow();
  Store32(out.data() + start + 1, static_cast<uint32_t>(out.size() - start - 1));
  return {};
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
      null =
          !(rule.textual || (rule.unknown && !rule.binary)) || !RenderSource(rule.mask, value, out);
      return true;
    case Look::text:
      if (masker_->impl().regexes.empty() && !mask::MayHoldCardData(value)) return false;
      break;
    case Look::digits:
      if (masker_->impl().regexes.empty() && !ManyDigits(value)) return false;
      break;
    case Look::number:
      if (!BinaryNumberMayBeCard(rule.type, value)) return false;
      break;
    case Look::always:
      break;
  }
  return Scan(rule, column, value, out, null, tally);
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
