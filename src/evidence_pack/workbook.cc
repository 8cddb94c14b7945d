#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <xlsxwriter.h>

#include "base/ids.h"
#include "evidence_pack/papers.h"

namespace sallyport::evidence_pack {
namespace {

/// One sheet. Every text goes through the scan and is safe as a cell.
class Sheet {
 public:
  Sheet(lxw_workbook* book, const char* name, lxw_format* bold, std::string& texts,
        std::initializer_list<std::pair<const char*, int>> columns)
      : sheet_(workbook_add_worksheet(book, name)), texts_(texts) {
    uint16_t column = 0;
    for (const auto& [title, width] : columns) {
      worksheet_set_column(sheet_, column, column, width, nullptr);
      worksheet_write_string(sheet_, 0, column++, title, bold);
    }
    worksheet_freeze_panes(sheet_, 1, 0);
    worksheet_autofilter(sheet_, 0, 0, 0, uint16_t(column - 1));
  }
  Sheet& Cell(std::string_view text) {
    std::string safe = SafeCell(text);
    if (safe.size() > 30'000) safe.resize(30'000);  // a cell has at most 32,767 characters
    texts_ += safe;
    texts_ += '\n';
    worksheet_write_string(sheet_, row_, column_++, safe.c_str(), nullptr);
    return *this;
  }
  Sheet& Cell(uint64_t number) {
    worksheet_write_number(sheet_, row_, column_++, double(number), nullptr);
    return *this;
  }
  void End() {
    ++row_;
    column_ = 0;
  }

 private:
  lxw_worksheet* sheet_;
  std::string& texts_;
  uint32_t row_ = 1;
  uint16_t column_ = 0;
};

std::string Requirements(const Artefact& a) {
  std::string out;
  for (const std::string& id : a.requirements) out += (out.empty() ? "" : " ") + id;
  return out;
}

bool Of(const Artefact& a, std::string_view family) {
  return std::ranges::any_of(a.requirements,
                             [&](const std::string& id) { return id.starts_with(family); });
}

void Register(const Pack& pack, lxw_workbook* book, lxw_format* bold, std::string& texts) {
  Sheet sheet(book, "Evidence register", bold, texts,
              {{"Requirement", 12},
               {"Subject", 44},
               {"State of the evidence", 36},
               {"Who", 18},
               {"A person", 44},
               {"Exceptions, missing entries", 60}});
  for (const Requirement& r : evidence_pack::Requirements()) {
    const Answer& answer = pack.AnswerOf(r.id);
    std::string notes;
    for (const auto* list : {&answer.exceptions, &answer.missing}) {
      for (const std::string& item : *list) notes += (notes.empty() ? "" : "; ") + item;
    }
    sheet.Cell(r.id).Cell(r.title).Cell(StatusName(pack.StatusOf(r))).Cell(SplitName(r.split));
    sheet.Cell(r.person).Cell(notes).End();
  }
}

void Files(const Pack& pack, lxw_workbook* book, lxw_format* bold, std::string& texts) {
  Sheet populations(book, "Populations", bold, texts,
                    {{"Requirements", 24},
                     {"Title", 60},
                     {"File", 48},
                     {"Rows", 12},
                     {"Type", 14},
                     {"How it came about", 60},
                     {"SHA-256", 66}});
  for (const Artefact& a : pack.artefacts()) {
    populations.Cell(Requirements(a)).Cell(a.title).Cell(a.file).Cell(a.population).Cell(a.type);
    populations.Cell(a.query).Cell(a.sha256).End();
  }
  Sheet samples(
      book, "Samples", bold, texts,
      {{"File", 40}, {"Entry", 14}, {"Looked at by (person)", 24}, {"Result (person)", 40}});
  for (const PackFile& file : pack.files()) {
    if (!file.name().starts_with("samples/") || !file.name().ends_with(".entry")) continue;
    samples.Cell(file.name()).Cell(file.name().substr(8, file.name().size() - 14));
    samples.Cell("").Cell("").End();
  }
}

/// What a person fills in: one line for each file that is there for it.
void Form(const Pack& pack, lxw_workbook* book, lxw_format* bold, std::string& texts,
          const char* name, std::initializer_list<std::string_view> families) {
  Sheet sheet(book, name, bold, texts,
              {{"Requirements", 24},
               {"Title", 60},
               {"File", 48},
               {"Rows", 12},
               {"Reviewed by (person)", 24},
               {"On (person)", 14},
               {"Result (person)", 50}});
  for (const Artefact& a : pack.artefacts()) {
    if (!std::ranges::any_of(families, [&](std::string_view f) { return Of(a, f); })) continue;
    sheet.Cell(Requirements(a)).Cell(a.title).Cell(a.file).Cell(a.population);
    sheet.Cell("").Cell("").Cell("").End();
  }
}

void Exceptions(const Pack& pack, lxw_workbook* book, lxw_format* bold, std::string& texts) {
  Sheet sheet(book, "Exceptions", bold, texts,
              {{"Requirement", 12},
               {"What", 80},
               {"Kind", 20},
               {"Answer (person)", 50},
               {"Closed on (person)", 18}});
  for (const Requirement& r : evidence_pack::Requirements()) {
    for (const std::string& item : pack.AnswerOf(r.id).exceptions)
      sheet.Cell(r.id).Cell(item).Cell("exception").Cell("").Cell("").End();
    for (const std::string& item : pack.AnswerOf(r.id).missing)
      sheet.Cell(r.id).Cell(item).Cell("no entry").Cell("").Cell("").End();
  }
}

}  // namespace

Result<> AddWorkbook(Pack& pack) {
  namespace fs = std::filesystem;
  const fs::path file = pack.directory() / (".workbook." + NewHandle(6));
  lxw_workbook* const book = workbook_new(file.c_str());
  if (book == nullptr) return Fail(Errc::io_failed, "the workbook cannot be made");
  lxw_doc_properties about{};
  std::string title = "Evidence of " + pack.head().origin + ", " + pack.Period();
  about.title = title.data();
  about.created = time_t(pack.head().to / 1'000'000'000);
  workbook_set_properties(book, &about);
  lxw_format* const bold = workbook_add_format(book);
  format_set_bold(bold);
  std::string texts = title + "\n";
  Register(pack, book, bold, texts);
  Files(pack, book, bold, texts);
  Form(pack, book, bold, texts, "Access review", {"7.2.3", "7.2.4", "7.2.5", "8.2"});
  Form(pack, book, bold, texts, "Log review", {"10.4", "10.7"});
  Exceptions(pack, book, bold, texts);
  const lxw_error done = workbook_close(book);
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::error_code error;
  fs::remove(file, error);
  if (done != LXW_NO_ERROR || bytes.empty())
    return Fail(Errc::io_failed,
                std::string("the workbook cannot be written: ") + lxw_strerror(done));
  pack.scan().Look("workbook.xlsx", texts);
  pack.Put("workbook.xlsx", bytes, PackFile::Kind::binary);
  return {};
}

}  // namespace sallyport::evidence_pack
