#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "evidence_pack/scan.h"
#include "evidence_pack/zip.h"

namespace sallyport::evidence_pack {

/// 2026-11-21T12:00:00.123Z: milliseconds. Nanoseconds are in the entry.
std::string Moment(Nanos at);
/// 2026-11-21
std::string Day(Nanos at);

/// One file of the pack while it is written: compressed, hashed and searched on the way.
class PackFile {
 public:
  enum class Kind : uint8_t { text, binary };  // binary: its texts are searched by who makes it

  PackFile(std::string name, const std::filesystem::path& directory, PackScan& scan, Kind kind)
      : name_(std::move(name)), packed_(directory), scan_(scan), kind_(kind) {}

  void Write(std::string_view bytes);
  Result<> Close();

  const std::string& name() const { return name_; }
  const Packed& packed() const { return packed_; }

 private:
  std::string name_;
  Packed packed_;
  PackScan& scan_;
  Kind kind_;
  std::string window_;  // not yet searched, behind one line that was
};

/// Rows of a table (RFC 4180, UTF-8, LF). A cell that a spreadsheet would take for a formula gets
/// an apostrophe in front; control characters are written as escapes.
class Csv {
 public:
  Csv(PackFile& file, std::initializer_list<std::string_view> columns);

  Csv& Cell(std::string_view text);
  Csv& Cell(uint64_t number);
  /// As it is: for what is written by us and has no comma, such as base64.
  Csv& Raw(std::string_view text) {
    if (!first_) line_ += ',';
    first_ = false;
    line_ += text;
    return *this;
  }
  Csv& When(Nanos at) { return at == 0 ? Cell("") : Cell(Moment(at)); }
  Csv& YesNo(bool value) { return Cell(value ? "yes" : "no"); }
  void End();

  uint64_t rows() const { return rows_; }
  PackFile& file() { return file_; }

 private:
  PackFile& file_;
  std::string line_;
  bool first_ = true;
  uint64_t rows_ = 0;
};

/// `text` for a cell: no control characters, no formula.
std::string SafeCell(std::string_view text);

}  // namespace sallyport::evidence_pack
