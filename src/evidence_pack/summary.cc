#include <hpdf.h>
#include <memory>

#include "evidence_pack/papers.h"

namespace sallyport::evidence_pack {
namespace {

constexpr float kWidth = 595, kHeight = 842, kMargin = 56;  // A4, in points

/// The base fonts have Latin letters only; what they cannot show is a question mark.
std::string Latin(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if ((uint8_t(c) & 0xc0) == 0x80) continue;  // the rest of a character
    out += c >= 0x20 && c < 0x7f ? c : '?';
  }
  return out;
}

/// Lines of text on as many pages as they need.
class Paper {
 public:
  explicit Paper(HPDF_Doc doc, std::string footer)
      : doc_(doc),
        plain_(HPDF_GetFont(doc, "Helvetica", nullptr)),
        bold_(HPDF_GetFont(doc, "Helvetica-Bold", nullptr)),
        footer_(std::move(footer)) {
    NewPage();
  }

  void Title(const std::string& text) { Line(text, bold_, 18, 0, 28); }
  void Heading(const std::string& text) {
    Need(60);
    y_ -= 12;
    Line(text, bold_, 12, 0, 20);
  }
  void Text(const std::string& text, float indent = 0) { Wrapped(text, plain_, 9.5f, indent, 13); }
  void Strong(const std::string& text) { Wrapped(text, bold_, 9.5f, 0, 13); }
  void Gap(float by = 6) { y_ -= by; }
  /// A line to sign on.
  void Sign(const std::string& who) {
    Need(40);
    y_ -= 26;
    HPDF_Page_SetLineWidth(page_, 0.5f);
    HPDF_Page_MoveTo(page_, kMargin, y_);
    HPDF_Page_LineTo(page_, kMargin + 300, y_);
    HPDF_Page_Stroke(page_);
    y_ -= 11;
    Line(who, plain_, 8, 0, 12);
  }
  std::string Take() { return std::move(texts_); }
  void NewPage() {
    page_ = HPDF_AddPage(doc_);
    HPDF_Page_SetWidth(page_, kWidth);
    HPDF_Page_SetHeight(page_, kHeight);
    y_ = kHeight - kMargin;
    At(footer_ + ", page " + std::to_string(++pages_), plain_, 7.5f, kMargin, 30);
  }

 private:
  void Need(float height) {
    if (y_ - height < kMargin) NewPage();
  }
  void At(const std::string& text, HPDF_Font font, float size, float x, float y) {
    const std::string latin = Latin(text);
    texts_ += latin + '\n';
    HPDF_Page_BeginText(page_);
    HPDF_Page_SetFontAndSize(page_, font, size);
    HPDF_Page_TextOut(page_, x, y, latin.c_str());
    HPDF_Page_EndText(page_);
  }
  void Line(const std::string& text, HPDF_Font font, float size, float indent, float height) {
    Need(height);
    y_ -= height;
    At(text, font, size, kMargin + indent, y_ + 4);
  }
  void Wrapped(const std::string& text, HPDF_Font font, float size, float indent, float height) {
    const std::string latin = Latin(text);
    for (size_t at = 0; at < latin.size();) {
      HPDF_Page_SetFontAndSize(page_, font, size);
      float real = 0;
      const std::string rest = latin.substr(at);
      HPDF_UINT fits = HPDF_Page_MeasureText(page_, rest.c_str(), kWidth - 2 * kMargin - indent,
                                             HPDF_TRUE, &real);
      if (fits == 0) fits = 1;  // one letter that does not fit: a margin is better than no end
      Line(rest.substr(0, fits), font, size, indent, height);
      at += fits;
      while (at < latin.size() && latin[at] == ' ') ++at;
    }
  }

  HPDF_Doc doc_;
  HPDF_Font plain_, bold_;
  HPDF_Page page_ = nullptr;
  std::string footer_, texts_;
  float y_ = 0;
  int pages_ = 0;
};

void FirstPage(Paper& paper, const Pack& pack, const std::string& fingerprint) {
  paper.Title("Evidence pack: summary");
  paper.Text("System: " + pack.head().origin);
  paper.Text("Period (UTC): " + pack.Period());
  paper.Text("Made with: sallyport " + pack.head().version);
  paper.Text("Configuration: " + (pack.setup().given
                                      ? "SHA-256 (base64) " + pack.setup().digest
                                      : std::string("not given: what rests on it is missing")));
  paper.Text("Signed by: " + fingerprint);
  paper.Gap();
  paper.Strong(pack.Summary() + ".");
  paper.Gap();
  paper.Text(
      "This is evidence. Whether requirements are met is for the assessor to say. Ids are those "
      "of PCI DSS v4.0.1; titles are our own.");
  paper.Heading("Scope");
  paper.Text(
      "What passed through the gateway: MCP tools and PostgreSQL. What reaches databases past "
      "it is a finding under 7.2.6. Responsibility is split for each sub-requirement below.");
  paper.Heading("Completeness");
  for (const auto& [name, value] : pack.AnswerOf("10.2.1").figures.items())
    paper.Text(name + ": " + value.dump(), 12);
  for (const auto& [name, value] : pack.AnswerOf("10.2.2").figures.items())
    paper.Text(name + ": " + value.dump(), 12);
  paper.Heading("Integrity");
  paper.Text(
      "The whole log was verified before this pack was made: entries, tree, signature and "
      "earlier heads. The pack holds the signed head, the hash of every entry of the period and "
      "the proof that leads from them to that head. Its list of files is signed. VERIFY.md says "
      "how to check all of it with sha256sum and openssl.");
  paper.Text(
      "Every file was searched for card numbers and authentication data before it was packed: "
      "none was found, or there would be no pack.");
}

void Exceptions(Paper& paper, const Pack& pack) {
  paper.NewPage();
  paper.Heading("Exceptions, and what there is no entry of");
  bool any = false;
  for (const Requirement& r : Requirements()) {
    const Answer& answer = pack.AnswerOf(r.id);
    for (const std::string& item : answer.exceptions) paper.Text(std::string(r.id) + "  " + item);
    for (const std::string& item : answer.missing)
      paper.Text(std::string(r.id) + "  no entry: " + item);
    any = any || !answer.exceptions.empty() || !answer.missing.empty();
  }
  if (!any) paper.Text("None.");
}

void Table(Paper& paper, const Pack& pack) {
  paper.NewPage();
  paper.Heading("Sub-requirements");
  for (const Requirement& r : Requirements()) {
    paper.Strong(std::string(r.id) + "  " + std::string(r.title));
    paper.Text(
        std::string(StatusName(pack.StatusOf(r))) + "; " + std::string(SplitName(r.split)) + ".",
        12);
    if (!r.person.empty()) paper.Text("A person: " + std::string(r.person), 12);
    paper.Gap(3);
  }
}

}  // namespace

Result<> AddSummary(Pack& pack, const std::string& fingerprint) {
  const std::unique_ptr<std::remove_pointer_t<HPDF_Doc>, decltype(&HPDF_Free)> doc(
      HPDF_New([](HPDF_STATUS, HPDF_STATUS, void*) {}, nullptr), HPDF_Free);
  if (!doc) return Fail(Errc::io_failed, "no memory for the summary");
  HPDF_SetCompressionMode(doc.get(), HPDF_COMP_ALL);
  const std::string title = "Evidence pack of " + pack.head().origin;
  HPDF_SetInfoAttr(doc.get(), HPDF_INFO_TITLE, title.c_str());
  Paper paper(doc.get(), title + ", " + pack.Period());
  FirstPage(paper, pack, fingerprint);
  Exceptions(paper, pack);
  Table(paper, pack);
  paper.Heading("Signatures");
  paper.Sign("For the operator: name, function, date");
  paper.Sign("Reviewed by: name, function, date");
  if (HPDF_SaveToStream(doc.get()) != HPDF_OK || HPDF_GetError(doc.get()) != HPDF_OK)
    return Fail(Errc::io_failed, "the summary cannot be made");
  std::string bytes(HPDF_GetStreamSize(doc.get()), '\0');
  HPDF_UINT32 size = HPDF_UINT32(bytes.size());
  HPDF_ResetStream(doc.get());
  HPDF_ReadFromStream(doc.get(), reinterpret_cast<HPDF_BYTE*>(bytes.data()), &size);
  bytes.resize(size);
  pack.scan().Look("summary.pdf", paper.Take());
  pack.Put("summary.pdf", bytes, PackFile::Kind::binary);
  return {};
}

}  // namespace sallyport::evidence_pack
