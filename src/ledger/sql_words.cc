#include "ledger/sql_words.h"

#include <algorithm>
#include <array>

namespace sallyport::ledger {
namespace {

constexpr size_t kMostWords = 400;
constexpr const char* kUnknown = "?";

bool Begins(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}
bool Goes(unsigned char c) { return Begins(c) || (c >= '0' && c <= '9') || c == '$'; }

/// Calls `take` for each word, in lower case. What stands in quotes is left out if it is sure where
/// they end.
void EachWord(std::string_view text, bool skip_quoted, const auto& take) {
  skip_quoted &=
      text.find('\\') == std::string_view::npos && text.find('$') == std::string_view::npos;
  for (size_t i = 0; i < text.size();) {
    if (skip_quoted && text[i] == '\'') {
      const size_t end = text.find('\'', i + 1);
      if (end == std::string_view::npos) return EachWord(text.substr(i), false, take);
      i = end + 1;
      continue;
    }
    if (!Begins(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    std::string word;
    for (; i < text.size() && Goes(static_cast<unsigned char>(text[i])); ++i) {
      const char c = text[i];
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    take(std::move(word));
  }
}

void Collect(json::Value value, std::set<std::string>& words) {
  if (words.size() > kMostWords) return;
  if (const auto text = value.string()) {
    if (!MayBeSql(*text)) return;
    // A name that is written in escapes is none of its words.
    if (text->find("U&") != std::string_view::npos || text->find("u&") != std::string_view::npos)
      words.insert(kUnknown);
    EachWord(*text, true, [&](std::string word) {
      if (words.size() <= kMostWords) words.insert(std::move(word));
    });
    return;
  }
  for (auto v = value.first(); v; v = v.next()) Collect(v, words);
}

}  // namespace

bool MayBeSql(std::string_view text) {
  static constexpr auto kWords = std::to_array<std::string_view>(
      {"select",  "insert",   "update",  "delete",  "merge",   "with",    "table",
       "copy",    "truncate", "create",  "alter",   "drop",    "lock",    "call",
       "values",  "grant",    "revoke",  "vacuum",  "analyze", "explain", "declare",
       "prepare", "refresh",  "reindex", "cluster", "comment"});
  bool any = false;
  EachWord(text, false, [&](const std::string& word) {
    any |= std::ranges::find(kWords, word) != kWords.end();
  });
  return any;
}

std::set<std::string> WordsOfSql(json::Value request) {
  std::set<std::string> words;
  if (request["cut"] || request["blob"]) {
    words.insert(kUnknown);
    return words;
  }
  Collect(request["json"], words);
  Collect(request["text"], words);
  if (words.size() > kMostWords) words = {kUnknown};
  return words;
}

std::set<std::string> WordsOfName(std::string_view name) {
  bool quoted = false;
  size_t last = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '"') quoted = !quoted;
    if (name[i] == '.' && !quoted) last = i + 1;
  }
  std::set<std::string> words;
  EachWord(name.substr(last), false, [&](std::string word) { words.insert(std::move(word)); });
  return words;
}

}  // namespace sallyport::ledger
