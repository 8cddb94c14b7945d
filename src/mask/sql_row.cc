#include "mask/sql_row.h"

#include <algorithm>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "mask/evidence_words.h"
#include "mask/join.h"
#include "mask/json_scan.h"
#include "mask/pg_value.h"

namespace sallyport::mask {
namespace {

struct Cell {
  size_t begin = 0, end = 0;  // the JSON token
  JsonString text;            // its content
  std::string column, type = "text";
  bool binary = false, null = false, done = false;
  std::string raw;  // the wire bytes
};
struct Row {
  std::string msg;
  std::vector<Cell> cells;
  std::vector<Cell> names;  // column names as values
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<std::string> FromHex(std::string_view s) {
  if (!s.starts_with("\\x") || s.size() % 2 != 0) return std::nullopt;
  const auto nibble = [](char c) {
    return IsDigit(c)                               ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
  };
  std::string out;
  for (size_t i = 2; i < s.size(); i += 2) {
    const int a = nibble(s[i]), b = nibble(s[i + 1]);
    if (a < 0 || b < 0) return std::nullopt;
    out += char(a * 16 + b);
  }
  return out;
}

/// Reads one line at `base` of the whole text.
std::optional<Row> ReadRow(std::string_view line, size_t base) {
  std::vector<JsonNode> nodes;
  if (!ScanJson(line, 8, nodes) || nodes[0].type != JsonType::object) return std::nullopt;
  const auto token = [&](uint32_t i) {
    return line.substr(nodes[i].begin, nodes[i].end - nodes[i].begin);
  };
  const auto key = [&](uint32_t i) {
    return line.substr(nodes[i].key_begin + 1, nodes[i].key_end - nodes[i].key_begin - 2);
  };
  const auto cell = [&](uint32_t i) {
    Cell c;
    c.begin = base + nodes[i].begin, c.end = base + nodes[i].end;
    c.null = nodes[i].type != JsonType::string;
    if (!c.null) c.text = DecodeJsonString(token(i));
    return c;
  };
  Row row;
  std::vector<Cell> columns;
  for (uint32_t k = 1; k < nodes[0].next; k = nodes[k].next) {
    if (key(k) == "msg" && nodes[k].type == JsonType::string)
      row.msg = DecodeJsonString(token(k)).text;
    if (key(k) == "cols") {
      for (uint32_t c = k + 1; c < nodes[k].next; c = nodes[c].next) {
        Cell column;
        for (uint32_t m = c + 1; m < nodes[c].next; m = nodes[m].next) {
          if (nodes[m].type != JsonType::string) return std::nullopt;
          const JsonString s = DecodeJsonString(token(m));
          if (key(m) == "name")
            row.names.push_back(cell(m)), row.names.back().raw = s.text, column.column = s.text;
          if (key(m) == "type") column.type = s.text;
          if (key(m) == "fmt") column.binary = s.text == "binary";
        }
        columns.push_back(column);
      }
    }
    if (key(k) == "vals") {
      for (uint32_t v = k + 1; v < nodes[k].next; v = nodes[v].next) row.cells.push_back(cell(v));
    }
  }
  if (row.msg.empty()) return std::nullopt;
  for (size_t i = 0; i < row.cells.size(); i++) {
    Cell& c = row.cells[i];
    if (i < columns.size())
      c.column = columns[i].column, c.type = columns[i].type, c.binary = columns[i].binary;
    c.raw = c.text.text;
    if (c.binary) {
      auto bytes = FromHex(c.raw);
      if (!bytes && !c.null) return std::nullopt;
      if (bytes) c.raw = std::move(*bytes);
    }
  }
  return row;
}

class RowFinder {
 public:
  RowFinder(const Masker::Impl& impl, Found& found) : impl_(impl), found_(found) {}

  void Run(std::vector<Row>& rows) {
    if (impl_.pan && rows.size() > 1) JoinRows(rows);
    for (Row& row : rows) {
      for (Cell& name : row.names) {
        if (row.msg == "RowDescription") Value(name, {"text", false}, Context{});
      }
      if (impl_.pan && row.msg == "DataRow") JoinColumns(row);
      if (row.msg == "CopyData") Copy(row);
      const bool card = CardRow(row);
      for (Cell& c : row.cells) {
        if (c.null || c.done) continue;
        Context context;
        context.hint = c.column;
        context.card_object = card;
        Value(c, {c.type, c.binary}, context);
      }
    }
  }

 private:
  static std::string Hex(std::string_view bytes) { return "\\x" + HexEncode(AsBytes(bytes)); }

  /// A row with a column for card numbers.
  static bool CardRow(const Row& row) {
    return std::ranges::any_of(
        row.cells, [](const Cell& c) { return ClassifyHint(c.column) == HintClass::card; });
  }

  void Take(Cell& c, const PgMasked& m) {
    c.done = true;
    found_.blocked |= m.found.blocked;
    for (Finding f : m.found.findings) {
      f.begin = m.in_place && !c.binary ? c.begin + c.text.Source(f.begin) : c.begin + 1;
      f.end = m.in_place && !c.binary ? c.begin + c.text.Source(f.end) : c.end - 1;
      found_.findings.push_back(f);
    }
    if (m.in_place && !c.binary) {
      for (const Edit& e : m.found.edits) {
        found_.edits.push_back(
            {c.begin + c.text.Source(e.begin), c.begin + c.text.Source(e.end), EscapeJson(e.text)});
      }
    } else if (!m.bytes) {
      found_.edits.push_back({c.begin, c.end, "null"});
    } else {
      found_.edits.push_back(
          {c.begin, c.end, '"' + EscapeJson(c.binary ? Hex(*m.bytes) : *m.bytes) + '"'});
    }
  }
  void Value(Cell& c, const PgType& type, const Context& context) {
    if (const auto m = MaskPgValue(impl_, type, c.raw, context)) Take(c, *m);
  }

  void Copy(Row& row) {
    for (Cell& c : row.cells) {
      if (!c.text.text.starts_with("\\x5047434f5059")) continue;
      const auto bytes = FromHex(c.text.text);
      if (!bytes) continue;
      if (const auto m = MaskPgBinaryCopy(impl_, *bytes, Context{})) {
        c.binary = true;
        Take(c, *m);
      }
      c.done = true;
    }
    if (row.cells.size() < 2) return;
    std::vector<std::string_view> texts;
    for (const Cell& c : row.cells) texts.push_back(c.text.text);
    std::vector<std::vector<Edit>> edits;
    std::vector<Crossing> crossings;
    FindAcross(impl_, texts, Context{}, false, edits, crossings);
    for (const Crossing& x : crossings) {
      Finding f = x.finding;
      f.begin = row.cells[x.first].begin + row.cells[x.first].text.Source(f.begin);
      f.end = row.cells[x.last].begin + row.cells[x.last].text.Source(f.end);
      found_.findings.push_back(f);
    }
    for (size_t k = 0; k < edits.size(); k++) {
      Cell& c = row.cells[k];
      for (const Edit& e : edits[k]) {
        found_.edits.push_back(
            {c.begin + c.text.Source(e.begin), c.begin + c.text.Source(e.end), EscapeJson(e.text)});
      }
    }
  }

  static std::string Piece(const Cell& c) {
    const bool ok = !c.null && !c.done && !c.binary && !c.raw.empty() && c.raw.size() <= 15 &&
                    std::ranges::all_of(c.raw, IsDigit);
    return ok ? c.raw : std::string();
  }
  void TakeJoined(std::span<Cell* const> cells, const std::vector<std::string>& pieces,
                  const IinMatch& match) {
    const auto hidden =
        HidePieces(pieces, impl_.pan->render == Render::token ? Render::full : impl_.pan->render);
    found_.findings.push_back({cells.front()->begin + 1, cells.back()->end - 1, impl_.pan->name,
                               DetectorKind::pan, match.network, kLuhn | kIin | kJoined});
    found_.blocked |= impl_.pan->action == Action::block;
    for (size_t k = 0; k < cells.size(); k++) {
      cells[k]->done = true;
      if (hidden[k] == pieces[k]) continue;
      const bool number =
          cells[k]->type.starts_with("int") || cells[k]->type.starts_with("numeric");
      found_.edits.push_back(
          {cells[k]->begin, cells[k]->end, number ? "null" : '"' + hidden[k] + '"'});
    }
  }
  void JoinColumns(Row& row) {
    for (size_t i = 0; i + 1 < row.cells.size(); i++) {
      std::vector<Cell*> cells;
      std::vector<std::string> pieces;
      bool card = false;
      for (size_t j = i; j < row.cells.size() && j < i + 19; j++) {
        std::string piece = Piece(row.cells[j]);
        if (piece.empty() || (j > i && !RelatedKeys(row.cells[j - 1].column, row.cells[j].column)))
          break;
        card |= ClassifyHint(row.cells[j].column) == HintClass::card;
        cells.push_back(&row.cells[j]);
        pieces.push_back(std::move(piece));
        if (const auto match = JoinedNumber(pieces, card)) {
          TakeJoined(cells, pieces, *match);
          i = j;
          break;
        }
      }
    }
  }
  /// Rows of one column that are pieces of one number.
  void JoinRows(std::vector<Row>& rows) {
    std::vector<Cell*> cells;
    std::vector<std::string> pieces;
    for (Row& row : rows) {
      if (row.msg != "DataRow" || row.cells.size() != 1 ||
          row.cells[0].column != rows[0].cells[0].column)
        return;
      cells.push_back(&row.cells[0]);
      pieces.push_back(Piece(row.cells[0]));
      if (pieces.back().empty() || pieces.size() > 19) return;
    }
    const HintClass hint = ClassifyHint(cells[0]->column);
    if (hint == HintClass::identifier || hint == HintClass::other_number) return;
    if (const auto match = JoinedNumber(pieces, hint == HintClass::card))
      TakeJoined(cells, pieces, *match);
  }

  const Masker::Impl& impl_;
  Found& found_;
};

}  // namespace

Result<void> FindInSqlRows(const Masker::Impl& impl, std::string_view lines, Found& found) {
  std::vector<Row> rows;
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    if (end > at) {
      auto row = ReadRow(lines.substr(at, end - at), at);
      if (!row) return Fail(Errc::mask_failed, "not a row of {msg, cols, vals}");
      rows.push_back(std::move(*row));
    }
    at = end + 1;
  }
  RowFinder(impl, found).Run(rows);
  std::ranges::sort(found.findings, {}, &Finding::begin);
  return {};
}

}  // namespace sallyport::mask
