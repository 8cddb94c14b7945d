#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sallyport::sql {

/// A token of PostgreSQL's lexer, under standard_conforming_strings = on. Only where tokens begin
/// and end is of interest here: what they mean, the grammar has said.
struct Token {
  enum class Kind : uint8_t {
    word,    // identifier or keyword without quotes
    quoted,  // "identifier"
    number,
    string,     // '…'
    op,         // operator characters
    mark,       // ( ) [ ] , ; : .
    parameter,  // $1
    other,      // E'…', U&"…", $$…$$ and everything else
  };
  Kind kind;
  uint32_t begin, end;
};

/// `text` as tokens, comments and white space left out. False: a string or comment does not end, or
/// a byte can begin no token. `plain`: there are no comments, and no tokens of kind `other`, no
/// string continues another, and no number runs into a word: then a literal can be exchanged for
/// another one without changing how the rest is read.
bool Tokenize(std::string_view text, std::vector<Token>& tokens, bool& plain);

}  // namespace sallyport::sql
