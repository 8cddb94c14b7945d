#include "evidence_pack/file.h"

#include <algorithm>
#include <charconv>

#include "ledger/render.h"

namespace sallyport::evidence_pack {
namespace {

constexpr size_t kWindow = 64 << 10;

bool Plain(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace

std::string Moment(Nanos at) {
  const std::string text = FormatUtc(at);
  return text.substr(0, 23) + 'Z';
}

std::string Day(Nanos at) { return FormatUtc(at).substr(0, 10); }

void PackFile::Write(std::string_view bytes) {
  packed_.Write(bytes);
  if (kind_ == Kind::binary) return;
  window_ += bytes;
  if (window_.size() < kWindow) return;
  const size_t end = window_.rfind('\n');
  if (end == std::string::npos && window_.size() < 64 * kWindow) return;
  const size_t searched = end == std::string::npos ? window_.size() : end + 1;
  scan_.Look(name_, std::string_view(window_).substr(0, searched));
  window_.erase(0, searched);
}

Result<> PackFile::Close() {
  if (!window_.empty()) scan_.Look(name_, window_);
  window_.clear();
  return packed_.Close();
}

std::string SafeCell(std::string_view text) {
  std::string safe = Plain(text) ? std::string(text) : ledger::Printable(text);
  if (!safe.empty() && std::string_view("=+-@\t\r").find(safe.front()) != std::string_view::npos)
    safe.insert(safe.begin(), '\'');
  return safe;
}

Csv::Csv(PackFile& file, std::initializer_list<std::string_view> columns) : file_(file) {
  for (const std::string_view column : columns) Cell(column);
  End();
  rows_ = 0;
}

Csv& Csv::Cell(std::string_view text) {
  if (!first_) line_ += ',';
  first_ = false;
  const std::string safe = SafeCell(text);
  if (safe.find_first_of(",\"\n\r") == std::string::npos) {
    line_ += safe;
    return *this;
  }
  line_ += '"';
  for (const char c : safe) {
    if (c == '"') line_ += '"';
    line_ += c;
  }
  line_ += '"';
  return *this;
}

Csv& Csv::Cell(uint64_t number) {
  char digits[24];
  const char* const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  if (!first_) line_ += ',';
  first_ = false;
  line_.append(digits, size_t(end - digits));
  return *this;
}

void Csv::End() {
  line_ += '\n';
  file_.Write(line_);
  line_.clear();
  first_ = true;
  ++rows_;
}

}  // namespace sallyport::evidence_pack
