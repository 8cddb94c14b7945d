#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mask/clear.h"
#include "mask/masker.h"
#include "op/mask_count.h"
#include "sql/analyze.h"
#include "sql/catalog.h"

namespace sallyport::pg {

/// One column as RowDescription says it.
struct ResultColumn {
  std::string name;
  uint32_t relation = 0;  // table OID and attribute number it comes from; 0: not a plain column
  int16_t attribute = 0;
  uint32_t type = 0;  // pg_type.oid
  bool binary = false;
};

/// The columns of a result. `raw` is the body of the RowDescription they were read from.
struct Shape {
  std::string raw;
  std::vector<ResultColumn> columns;
  bool long_names = false;  // long enough to hold a card number

  /// upstream_protocol: not a RowDescription.
  static Result<std::shared_ptr<const Shape>> Read(std::string_view body);
  /// The same columns in the formats of a Bind: none (text), one for all, or one each.
  std::shared_ptr<const Shape> With(std::span<const int16_t> formats) const;
};
using ShapePtr = std::shared_ptr<const Shape>;

/// The name of one of PostgreSQL's own types as mask::PgType wants it; empty: not one of them.
std::string_view TypeName(uint32_t oid);

/// What was masked in one result, per column.
class RowTally {
 public:
  void Add(size_t column, const mask::Tally& tally);
  void Add(size_t column, mask::DetectorKind kind, uint32_t count = 1);
  bool empty() const { return cells_.empty(); }
  size_t columns() const { return cells_.size(); }
  uint32_t pans(size_t column) const { return cells_[column].pan; }
  /// As an entry of the log carries it; places are "/<column>", from 0.
  std::vector<op::MaskCount> Counts() const;

 private:
  struct Cell {
    uint32_t pan = 0, sad = 0, regex = 0;
  };
  std::vector<Cell> cells_;
};

/// What has to be changed in some rows. Made by RowMask::Find; its buffers can be used again.
class RowEdits {
 public:
  bool empty() const { return edits_.empty(); }
  void Clear() { edits_.clear(), text_.clear(); }
  /// Appends the rows it was made for, with the changes.
  void Apply(std::string_view rows, std::string& out) const;

 private:
  friend class RowMask;
  struct Edit {
    uint32_t row, at;    // where the row and the cell's length begin
    uint32_t size;       // of the cell as it came
    uint32_t text;       // in text_: what it becomes
    uint32_t text_size;  // kNull: NULL
  };
  static constexpr uint32_t kNull = 0xffffffff;

  std::vector<Edit> edits_;  // in order, when complete
  std::string text_;
};

/// Cells side by side that hold digits only: pieces of one number. A chain that is too long for one
/// is none.
class DigitChain {
 public:
  /// Whether a cell may be a piece.
  static bool IsPiece(std::string_view value);
  void Add(std::string_view piece);
  size_t pieces() const { return pieces_; }
  /// The chain has ended: whether it is a card number; the next one begins.
  bool Close(const mask::Masker& masker);

 private:
  std::array<char, 19> digits_;
  size_t size_ = 0, pieces_ = 0;
};

/// How the rows of one result are masked: chosen once from its columns, then applied to bytes.
/// Layer 3, by origin: a column that the catalog classifies, or that the analysis expects to be
/// masked, is masked whatever it looks like. Layer 4, by content: what a type can hold is looked
/// at, in text and in binary. Immutable, shared.
class RowMask {
 public:
  /// sql_not_maskable when an output that the analysis counts on is not where RowDescription says.
  static Result<std::shared_ptr<const RowMask>> Make(const Shape& shape,
                                                     const sql::Analysis& analysis,
                                                     const sql::Catalog* catalog,
                                                     std::shared_ptr<const mask::Masker> masker);

  /// No column can hold anything: rows need no look.
  bool passes() const { return passes_; }

  /// Looks at `rows`, whole DataRow messages one behind the other, less than 4 GiB. What has to be
  /// changed in them is in `edits`; none: they can go as they are. One pass over the lengths; the
  /// texts are looked at many at a time (mask::CellScan), and only where that points at is a cell
  /// judged on its own, as Cell() does. upstream_protocol: not rows of this shape.
  Result<> Find(std::string_view rows, RowEdits& edits, RowTally& tally) const;

  /// Takes from `edits`, which Find made for `rows`, what the client may see in clear: card numbers
  /// in text form, of text and number columns, found as such; of a classified column only if the
  /// cell is a card number and nothing else.
  void Reveal(std::string_view rows, RowEdits& edits, mask::Clear& clear) const;

  /// One cell. False: as it is. True: `out` holds its new bytes (appended), or `null` is set.
  bool Cell(size_t column, std::string_view value, std::string& out, bool& null,
            RowTally& tally) const;

  /// What becomes of a value that is too long to be held: the same number of bytes.
  enum class Long : uint8_t {
    pass,  // its type holds no number
    scan,  // looked at piece by piece (LongMask)
    star,  // classified, or no text and not to be read in pieces: every byte becomes '*'
  };
  Long LongCell(size_t column) const;
  /// The cell is computed text: it may be a piece of a number, with the rest beside it.
  bool Joins(size_t column) const { return joins_ && cells_[column].joins; }
  size_t columns() const { return cells_.size(); }
  /// What it masks there says nothing about the value.
  bool ByOrigin(size_t column) const { return cells_[column].look == Look::origin; }
  const mask::Masker& masker() const { return *masker_; }
  const std::shared_ptr<const mask::Masker>& shared_masker() const { return masker_; }

 private:
  enum class Look : uint8_t {
    skip,
    text,    // where a first look over all of them says so
    digits,  // with twelve digits or more
    number,  // binary int8, float8, numeric: by their magnitude
    always,
    origin,  // whatever they hold
  };
  struct Rule {
    Look look = Look::skip;
    bool binary = false, textual = false, unknown = false;
    bool joins = false;  // computed text: may hold a part of a number, the rest beside it
    sql::SourceMask mask = sql::SourceMask::none;
    mask::DetectorKind kind = mask::DetectorKind::pan;
    std::string_view type;
    std::string hint;
  };

  Rule RuleFor(const ResultColumn& column, const sql::Catalog* catalog) const;
  class Finder;
  bool RevealCell(const Rule& rule, std::string_view value, mask::Clear& clear,
                  std::string& out) const;
  bool RenderOrigin(const Rule& rule, std::string_view value, std::string& out) const;
  bool Scan(const Rule& rule, size_t column, std::string_view value, std::string& out, bool& null,
            RowTally& tally) const;

  std::shared_ptr<const mask::Masker> masker_;
  std::vector<Rule> cells_;
  bool passes_ = true, origin_ = false, joins_ = false;
};

/// Twelve digits or more, wherever they stand: less is no card number.
bool HasManyDigits(std::string_view value);

/// A value as its origin's mask shows it: digits become '*', but for what the mask leaves. False:
/// it is to be NULL.
bool RenderSource(sql::SourceMask mask, std::string_view value, std::string& out);

/// Masks one text that comes in pieces and keeps its length: what was found is overwritten with
/// '*' but for the last four digits. Holds at most 64 KiB back.
class LongMask {
 public:
  LongMask(std::shared_ptr<const mask::Masker> masker, RowMask::Long how)
      : masker_(std::move(masker)), how_(how) {}
  void Feed(std::string_view piece, std::string& out);
  void Finish(std::string& out);
  uint32_t found() const { return found_; }

 private:
  void Judge(bool last, std::string& out);

  std::shared_ptr<const mask::Masker> masker_;
  RowMask::Long how_;
  std::string held_;
  size_t done_ = 0;  // of held_: already emitted, kept as context
  uint32_t found_ = 0;
};

}  // namespace sallyport::pg
