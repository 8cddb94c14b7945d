// The gates of the corpus: recall by tier, false positives, chunk invariance, idempotence.
#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "mask/corpus_format.h"
#include "mask/fold.h"
#include "mask/json_scan.h"
#include "mask/text_stream.h"

namespace sallyport::mask {
namespace {

struct CorpusRecord {
  std::string id, text, format, note;
  std::vector<std::string> pans;

  std::string Polarity() const { return note.substr(0, note.find('/')); }
  std::string Tier() const { return note.substr(note.rfind('/') + 1, 2); }
  bool Sad() const { return note.find("SAD") != std::string::npos; }
  TextFormat Format() const {
    return format == "json"      ? TextFormat::json
           : format == "sql_row" ? TextFormat::sql_row
                                 : TextFormat::text;
  }
};

std::vector<CorpusRecord> ReadCorpus() {
  std::vector<CorpusRecord> records;
  std::ifstream in(SALLYPORT_TESTDATA "/pan/corpus.jsonl");
  for (std::string line; std::getline(in, line);) {
    std::vector<JsonNode> nodes;
    if (!ScanJson(line, 8, nodes)) ADD_FAILURE() << line;
    CorpusRecord r;
    const auto content = [&](uint32_t k) {
      return DecodeJsonString(
                 std::string_view(line).substr(nodes[k].begin, nodes[k].end - nodes[k].begin))
          .text;
    };
    for (uint32_t k = 1; k < nodes[0].next; k = nodes[k].next) {
      const std::string key =
          line.substr(nodes[k].key_begin + 1, nodes[k].key_end - nodes[k].key_begin - 2);
      if (key == "id") r.id = content(k);
      if (key == "text") r.text = content(k);
      if (key == "format") r.format = content(k);
      if (key == "note") r.note = content(k);
      if (key != "pans") continue;
      for (uint32_t p = k + 1; p < nodes[k].next; p++) r.pans.push_back(content(p));
    }
    records.push_back(std::move(r));
  }
  return records;
}

/// Every digit of a text in order, whatever its notation, and nothing else.
std::string DigitsOnly(std::string_view text) {
  std::vector<Symbol> symbols;
  Fold(text, 0, text.size(), symbols);
  std::string digits;
  for (const Symbol& s : symbols) {
    if (s.c >= '0' && s.c <= '9') digits += s.c;
  }
  return digits;
}

class Corpus : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    records_ = new std::vector<CorpusRecord>(ReadCorpus());
    masker_ = new std::shared_ptr<const Masker>(
        *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef")));
  }
  static void TearDownTestSuite() {
    delete records_;
    delete masker_;
  }
  static std::vector<CorpusRecord>* records_;
  static std::shared_ptr<const Masker>* masker_;
};
std::vector<CorpusRecord>* Corpus::records_ = nullptr;
std::shared_ptr<const Masker>* Corpus::masker_ = nullptr;

TEST_F(Corpus, RecallAndFalsePositives) {
  ASSERT_EQ(records_->size(), 475u);
  std::map<std::string, std::pair<int, int>> recall, flagged;
  for (const CorpusRecord& r : *records_) {
    const auto masked = MaskRecord(**masker_, r.Format(), r.text);
    ASSERT_TRUE(masked) << r.id;
    if (r.Polarity() == "neg") {
      auto& [bad, all] = flagged[r.Tier()];
      all++;
      if (!masked->findings.empty() || masked->text != r.text) {
        bad++;
        std::cout << "flagged " << r.id << " " << r.note << ": " << r.text << "\n";
      }
    }
    if (r.Polarity() != "pos") continue;
    for (const std::string& pan : r.pans) {
      auto& [found, all] = recall[r.Tier()];
      all++;
      // Gone from the text in any notation, and no finding is left to be made in it.
      const bool gone = DigitsOnly(masked->text).find(pan) == std::string::npos;
      const auto again = MaskRecord(**masker_, r.Format(), masked->text);
      const bool covered = std::ranges::any_of(masked->findings, [](const Finding& f) {
        return f.kind == DetectorKind::pan && f.end - f.begin >= 12;
      });
      if (gone && covered && again && again->findings.empty()) {
        found++;
      } else {
        std::cout << "missed " << r.id << " " << r.note << ": " << masked->text << "\n";
      }
    }
    if (r.Sad()) {
      EXPECT_TRUE(std::ranges::any_of(masked->findings,
                                      [](const Finding& f) { return f.kind == DetectorKind::sad; }))
          << r.id << " " << masked->text;
    }
    if (r.format == "text") continue;
    for (size_t at = 0; at < masked->text.size();) {  // still JSON, line by line
      const size_t end = r.format == "json"
                             ? masked->text.size()
                             : std::min(masked->text.find('\n', at), masked->text.size());
      std::vector<JsonNode> nodes;
      EXPECT_TRUE(ScanJson(std::string_view(masked->text).substr(at, end - at), 64, nodes))
          << r.id << masked->text;
      at = end + 1;
    }
  }
  for (const auto& [tier, n] : recall) {
    std::cout << "recall " << tier << ": " << n.first << "/" << n.second << "\n";
  }
  for (const auto& [tier, n] : flagged) {
    std::cout << "false positives " << tier << ": " << n.first << "/" << n.second << "\n";
  }
  EXPECT_EQ(recall["T1"].first, recall["T1"].second);
  EXPECT_GE(recall["T2"].first, recall["T2"].second * 0.99);
  EXPECT_GE(recall["T3"].first, recall["T3"].second * 0.75);
  EXPECT_EQ(recall["T1"].second + recall["T2"].second + recall["T3"].second, 384);
  EXPECT_EQ(flagged["N1"].first, 0);
  EXPECT_EQ(flagged["N2"].first, 0);
  EXPECT_LE(flagged["N3"].first, 1);
}

TEST_F(Corpus, ASecondPassChangesNothing) {
  for (const CorpusRecord& r : *records_) {
    const auto once = MaskRecord(**masker_, r.Format(), r.text);
    const auto twice = MaskRecord(**masker_, r.Format(), once->text);
    EXPECT_EQ(once->text, twice->text) << r.id;
    EXPECT_TRUE(twice->findings.empty()) << r.id << " " << once->text;
  }
}

TEST_F(Corpus, EveryTwoWaySplitGivesTheSameBytes) {
  for (const CorpusRecord& r : *records_) {
    const auto whole = MaskRecord(**masker_, TextFormat::text, r.text);
    for (size_t cut = 0; cut <= r.text.size(); cut++) {
      TextStream stream(*masker_, {});
      std::string out;
      stream.Feed(std::string_view(r.text).substr(0, cut), out);
      stream.Feed(std::string_view(r.text).substr(cut), out);
      stream.Finish(out);
      ASSERT_EQ(out, whole->text) << r.id << " cut at " << cut;
    }
  }
}

TEST_F(Corpus, SplitsInALongTextGiveTheSameBytes) {
  std::string all;
  for (const CorpusRecord& r : *records_) {
    if (r.format != "text" || r.note.find("/sse.") != std::string::npos ||
        r.note.find("chunked") != std::string::npos)
      continue;
    all += r.text +
           "\nSome words between the records, as a report would have them in its running text.\n";
  }
  const auto whole = MaskRecord(**masker_, TextFormat::text, all);
  for (size_t step : {1u, 7u, 64u, 1000u, 4096u, 100000u}) {
    TextStream stream(*masker_, {});
    std::string out;
    size_t most = 0;
    for (size_t at = 0; at < all.size(); at += step) {
      stream.Feed(std::string_view(all).substr(at, step), out);
      most = std::max(most, stream.held());
    }
    stream.Finish(out);
    EXPECT_FALSE(stream.Overflowed());
    ASSERT_EQ(out.size(), whole->text.size()) << step;
    ASSERT_TRUE(out == whole->text) << step;
    std::cout << "pieces of " << step << ": at most " << most << " bytes held\n";
  }
}

TEST_F(Corpus, LinesOfTheCommandLine) {
  const auto line = MaskCorpusLine(
      **masker_, R"({"id":"a","text":"\u0444 card 4111111111111111","format":"text"})");
  ASSERT_TRUE(line);
  EXPECT_EQ(*line,
            "{\"id\":\"a\",\"text\":\"\u0444 card "
            "************1111\",\"findings\":[{\"kind\":\"pan\",\"network\":\"visa\","
            "\"start\":7,\"end\":23,\"evidence\":[\"luhn\",\"iin\",\"context\",\"contiguous\"]}]}");
  for (const char* bad :
       {"", "[]", "{\"id\":1}", "{\"text\":1}", R"({"text":"x","format":"xml"})"}) {
    EXPECT_EQ(MaskCorpusLine(**masker_, bad).error().code, Errc::request_malformed) << bad;
  }
}

}  // namespace
}  // namespace sallyport::mask
