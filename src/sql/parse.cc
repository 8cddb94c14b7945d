#include "sql/parse.h"

#include <pg_query.h>
#include <pthread.h>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "sql/lexer.h"

namespace sallyport::sql {
namespace {

/// The parser builds its tree without recursion, but writing the tree out recurses once per level,
/// in about 130 bytes of stack (measured), and a level takes at least two bytes of text (`+1`).
/// Texts up to this size are safe on any thread's stack; longer ones get a thread with a stack to
/// match.
constexpr size_t kInlineBytes = 64 << 10;
constexpr size_t kStackPerByte = 256;

struct Parse {
  std::string text;
  PgQueryParseResult result{};
  ~Parse() { pg_query_free_parse_result(result); }
};

void* Run(void* argument) {
  auto* parse = static_cast<Parse*>(argument);
  parse->result = pg_query_parse(parse->text.c_str());
  return nullptr;
}

bool RunWithStack(Parse& parse) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  size_t stack = (parse.text.size() * kStackPerByte + (8 << 20)) & ~size_t{0xfff};
  pthread_t thread;
  bool started = pthread_attr_setstacksize(&attributes, stack) == 0 &&
                 pthread_create(&thread, &attributes, Run, &parse) == 0;
  pthread_attr_destroy(&attributes);
  if (started) pthread_join(thread, nullptr);
  return started;
}

}  // namespace

bool IsText(std::string_view text) { return FirstBadByte(text) == std::string_view::npos; }

namespace {

/// In `SET (a, b, c) = (…)` the tree holds the right side once for each column. Whether a text
/// could make a tree of far more than its own size that way, or is not read here.
bool Multiplies(std::string_view text) {
  static constexpr size_t kSmall = 2 << 10, kMaxBytes = 256u << 10;
  if (text.size() <= kSmall || text.find('=') == std::string_view::npos) return false;
  std::vector<Token> tokens;
  bool plain;
  if (!Tokenize(text, tokens, plain)) return true;
  std::vector<size_t> commas;  // of the parentheses that are open
  size_t last = 0;             // of those that closed last
  for (size_t i = 0; i < tokens.size(); ++i) {
    auto token = text.substr(tokens[i].begin, tokens[i].end - tokens[i].begin);
    if (token == "(") {
      commas.push_back(0);
    } else if (token == "," && !commas.empty()) {
      ++commas.back();
    } else if (token == ")" && !commas.empty()) {
      last = commas.back();
      commas.pop_back();
    } else if (token.starts_with("=") && i != 0 && text[tokens[i - 1].begin] == ')' &&
               last * (text.size() - tokens[i].end) > kMaxBytes) {
      return true;
    }
  }
  return false;
}

}  // namespace

struct ParseTree::Result : Parse {};

ParseTree::~ParseTree() = default;

std::unique_ptr<const ParseTree> ParseTree::Make(std::string_view text, const Limits& limits) {
  if (text.size() > limits.max_bytes || !IsText(text) || Multiplies(text)) return nullptr;
  std::unique_ptr<ParseTree> tree(new ParseTree);
  tree->result_ = std::make_unique<Result>();
  auto& parse = *tree->result_;
  parse.text = text;
  if (text.size() <= kInlineBytes) {
    Run(static_cast<Parse*>(&parse));
  } else if (!RunWithStack(parse)) {
    return nullptr;
  }
  if (parse.result.error != nullptr || parse.result.parse_tree == nullptr) return nullptr;
  // One level of SQL is two to four levels of JSON; a frame around them is eight.
  json::Limits json_limits{.max_bytes = 32u << 20,
                           .max_depth = static_cast<uint32_t>(limits.max_depth) * 4 + 8};
  auto document = json::Document::Parse(parse.result.parse_tree, json_limits);
  if (!document) return nullptr;
  tree->document_ = std::move(*document);
  return tree;
}

}  // namespace sallyport::sql
