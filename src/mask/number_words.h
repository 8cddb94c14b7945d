#pragma once

#include <string_view>
#include <vector>

#include "mask/fold.h"

namespace sallyport::mask {

/// "four one one …": the symbols with number words (English, German) read as digits; "double",
/// "triple" repeat. False when there are fewer than four of them.
bool ReadNumberWords(const std::vector<Symbol>& symbols, std::vector<Symbol>& out);

/// A look at two letters that rules most words out.
bool MayBeNumberWord(char first, char second);

/// One of those words, in any case; umlauts as in fuenf.
bool IsNumberWord(std::string_view word);

/// "4lll llll", "3O56": letters that look like digits, inside tokens that are otherwise digits.
/// False when there is none. What is found this way needs a card word.
bool ReadLookalikes(const std::vector<Symbol>& symbols, std::vector<Symbol>& out);

}  // namespace sallyport::mask
