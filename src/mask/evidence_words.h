#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::mask {

/// What a column name or JSON key says about its value.
enum class HintClass : uint8_t {
  none,
  card,       // card_number, pan, kartennummer
  card_code,  // cvv, cvc2, security_code: always sensitive
  weak_code,  // cid, csc, pin: sensitive beside a card number
  pin_block,
  track,
  other_number,  // isbn, imei, iban, trace_id: another kind of number, never a card
  identifier,    // id, order, account: lowers what is only probable
};
HintClass ClassifyHint(std::string_view name);

/// What the words around text[begin, end) say, the nearest first. Looks at most 96 bytes back and
/// 40 on.
struct WordEvidence {
  bool card = false;  // a word for cards, in the languages of the table
  bool unionpay =
      false;  // a word for UnionPay or a Chinese card word: its numbers may lack a check digit
  bool other_number = false;  // a word for another kind of number stands nearer than any card word
  bool identifier = false;    // "order", "id", …
};
WordEvidence WordsAround(std::string_view text, size_t begin, size_t end);

/// text[begin, end) lies inside a UUID, a hash or another hexadecimal token, an IPv6 address, or an
/// IBAN whose check digits are right.
bool InsideOtherToken(std::string_view text, size_t begin, size_t end);

}  // namespace sallyport::mask
