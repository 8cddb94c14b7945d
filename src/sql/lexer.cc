#include "sql/lexer.h"

namespace sallyport::sql {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool BeginsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool InWord(char c) { return BeginsWord(c) || IsDigit(c) || c == '$'; }
bool IsOperator(char c) {
  return std::string_view("~!@#^&|`?+-*/%<>=").find(c) != std::string_view::npos;
}

class Lexer {
 public:
  Lexer(std::string_view text, std::vector<Token>& tokens) : text_(text), tokens_(tokens) {}
  bool Run();
  bool plain() const { return plain_; }

 private:
  char At(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  void Add(Token::Kind kind, size_t begin) {
    if (kind == Token::Kind::other) plain_ = false;
    tokens_.push_back({kind, static_cast<uint32_t>(begin), static_cast<uint32_t>(at_)});
  }
  bool Comment();
  bool Quoted(char quote, bool escapes);
  bool Word();
  bool Dollar();
  void Number();
  void Operator();

  std::string_view text_;
  std::vector<Token>& tokens_;
  size_t at_ = 0;
  bool plain_ = true;
};

bool Lexer::Comment() {
  plain_ = false;
  if (text_[at_] == '-') {
    while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
    return true;
  }
  size_t depth = 0;
  while (at_ < text_.size()) {
    if (text_[at_] == '/' && At(at_ + 1) == '*') {
      ++depth;
      at_ += 2;
    } else if (text_[at_] == '*' && At(at_ + 1) == '/') {
      at_ += 2;
      if (--depth == 0) return true;
    } else {
      ++at_;
    }
  }
  return false;
}

/// From the opening quote to behind the closing one.
bool Lexer::Quoted(char quote, bool escapes) {
  for (++at_; at_ < text_.size(); ++at_) {
    if (escapes && text_[at_] == '\\') {
      ++at_;
    } else if (text_[at_] == quote) {
      if (At(at_ + 1) != quote) return ++at_, true;
      ++at_;
    }
  }
  return false;
}

bool Lexer::Word() {
  size_t begin = at_;
  char first = static_cast<char>(text_[at_] | 0x20);
  char next = At(at_ + 1);
  if (next == '\'' && (first == 'e' || first == 'b' || first == 'x' || first == 'n')) {
    ++at_;
    if (!Quoted('\'', first == 'e')) return false;
    return Add(Token::Kind::other, begin), true;
  }
  if (first == 'u' && next == '&' && (At(at_ + 2) == '\'' || At(at_ + 2) == '"')) {
    at_ += 2;
    if (!Quoted(text_[at_], false)) return false;
    return Add(Token::Kind::other, begin), true;
  }
  while (at_ < text_.size() && InWord(text_[at_])) ++at_;
  Add(Token::Kind::word, begin);
  if (At(at_) == '\'') plain_ = false;
  return true;
}

bool Lexer::Dollar() {
  size_t begin = at_;
  if (IsDigit(At(at_ + 1))) {
    for (++at_; at_ < text_.size() && IsDigit(text_[at_]);) ++at_;
    if (InWord(At(at_))) plain_ = false;
    return Add(Token::Kind::parameter, begin), true;
  }
  size_t end = at_ + 1;
  while (end < text_.size() && InWord(text_[end]) && text_[end] != '$') ++end;
  if (At(end) != '$') return false;
  auto tag = text_.substr(at_, end + 1 - at_);
  size_t close = text_.find(tag, end + 1);
  if (close == std::string_view::npos) return false;
  at_ = close + tag.size();
  return Add(Token::Kind::other, begin), true;
}

void Lexer::Number() {
  size_t begin = at_;
  auto digits = [&] {
    while (IsDigit(At(at_))) ++at_;
  };
  digits();
  if (At(at_) == '.' && At(at_ + 1) != '.') {
    ++at_;
    digits();
  }
  if ((At(at_) | 0x20) == 'e') {
    size_t exponent = at_ + 1;
    if (At(exponent) == '+' || At(exponent) == '-') ++exponent;
    if (IsDigit(At(exponent))) {
      at_ = exponent;
      digits();
    }
  }
  Add(Token::Kind::number, begin);
  // Newer servers read 1_000, 0x10 and 1a in other ways.
  if (InWord(At(at_)) || At(at_) == '.' || At(at_) == '\'') plain_ = false;
}

void Lexer::Operator() {
  size_t begin = at_;
  while (at_ < text_.size() && IsOperator(text_[at_])) {
    bool comment =
        (text_[at_] == '-' && At(at_ + 1) == '-') || (text_[at_] == '/' && At(at_ + 1) == '*');
    if (comment && at_ != begin) break;
    ++at_;
  }
  Add(Token::Kind::op, begin);
}

bool Lexer::Run() {
  using Kind = Token::Kind;
  while (at_ < text_.size()) {
    char c = text_[at_];
    size_t begin = at_;
    if (IsSpace(c)) {
      ++at_;
    } else if ((c == '-' && At(at_ + 1) == '-') || (c == '/' && At(at_ + 1) == '*')) {
      if (!Comment()) return false;
    } else if (BeginsWord(c)) {
      if (!Word()) return false;
    } else if (IsDigit(c) || (c == '.' && IsDigit(At(at_ + 1)))) {
      Number();
    } else if (c == '\'') {
      // Two strings with a line end between them are one.
      if (!tokens_.empty() && tokens_.back().kind == Kind::string) plain_ = false;
      if (!Quoted('\'', false)) return false;
      Add(Kind::string, begin);
      if (text_.substr(begin, at_ - begin).find('\\') != std::string_view::npos) plain_ = false;
    } else if (c == '"') {
      if (!Quoted('"', false)) return false;
      Add(Kind::quoted, begin);
    } else if (c == '$') {
      if (!Dollar()) return false;
    } else if (IsOperator(c)) {
      Operator();
    } else if (std::string_view("()[],;:.").find(c) != std::string_view::npos) {
      ++at_;
      Add(Kind::mark, begin);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

bool Tokenize(std::string_view text, std::vector<Token>& tokens, bool& plain) {
  tokens.clear();
  Lexer lexer(text, tokens);
  bool whole = lexer.Run();
  plain = whole && lexer.plain();
  return whole;
}

}  // namespace sallyport::sql
