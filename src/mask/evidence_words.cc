#include "mask/evidence_words.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace sallyport::mask {
namespace {

bool IsAlpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

template <size_t N>
bool In(const std::string_view (&set)[N], std::string_view word) {
  return std::ranges::find(set, word) != std::end(set);
}

enum WordClass : uint8_t { kCardWord = 1, kOtherWord = 2, kIdentifierWord = 4 };
uint8_t ClassOf(std::string_view word);

constexpr std::string_view kCardWords[] = {"pan",
                                           "pans",
                                           "cc",
                                           "ccn",
                                           "ccnum",
                                           "ccno",
                                           "visa",
                                           "mastercard",
                                           "amex",
                                           "maestro",
                                           "discover",
                                           "jcb",
                                           "diners",
                                           "unionpay",
                                           "rupay",
                                           "troy",
                                           "verve",
                                           "dankort",
                                           "hipercard",
                                           "naranja",
                                           "uatp",
                                           "elo",
                                           "mir",
                                           "interac",
                                           "cup",
                                           "credit",
                                           "debit",
                                           "karte",
                                           "karten",
                                           "kartennummer",
                                           "kreditkarte",
                                           "kreditkartennummer",
                                           "kartennr",
                                           "tarjeta",
                                           "tarjetas",
                                           "carte",
                                           "cartes",
                                           "carta",
                                           "cartao",
                                           "kaart",
                                           "kaartnummer",
                                           "kort",
                                           "kortnummer",
                                           "karta",
                                           "karty",
                                           "kartu",
                                           "kortti",
                                           "kortet",
                                           "cardholder",
                                           "cards",
                                           "card",
                                           "acct",
                                           "fpan",
                                           "dpan",
                                           "primaryaccountnumber",
                                           "bancaria",
                                           "bancaire",
                                           "kartanumarasi",
                                           "kart"};
constexpr std::string_view kCardWordsOther[] = {  // none is ASCII: searched as bytes
    "\u043a\u0430\u0440\u0442",
    "\u0628\u0637\u0627\u0642",
    "\u30ab\u30fc\u30c9",
    "\u5361",
    "\uce74\ub4dc",
    "\u0e1a\u0e31\u0e15\u0e23",
    "\u03ba\u03ac\u03c1\u03c4",
    "\u05db\u05e8\u05d8\u05d9\u05e1",
    "\u0915\u093e\u0930\u094d\u0921",
    "cart\u00e3o",
    "th\u1ebb",
    "\u0643\u0627\u0631\u062a",
    "\U0001f4b3"};
constexpr std::string_view kUnionPayWords[] = {  // and "unionpay", "union pay"
    "\u94f6\u8054", "\u9280\u806f", "\u5361\u53f7", "\u5361\u865f"};
constexpr std::string_view kOtherWords[] = {
    "isbn",      "issn",     "ean",       "gtin",    "upc",       "barcode",      "imei",
    "imeisv",    "meid",     "iccid",     "imsi",    "msisdn",    "eid",          "iban",
    "sscc",      "lei",      "vin",       "eori",    "vat",       "tracking",     "usps",
    "fedex",     "ups",      "dhl",       "parcel",  "waybill",   "arn",          "aws",
    "uuid",      "guid",     "sha",       "md5",     "hash",      "checksum",     "commit",
    "etag",      "digest",   "trace",     "traceid", "spanid",    "timestamp",    "epoch",
    "ts",        "passport", "ssn",       "siren",   "siret",     "personnummer", "phone",
    "tel",       "fax",      "msisdn",    "mobile",  "snowflake", "tweet",        "guild",
    "modulus",   "latitude", "longitude", "ulid",    "serial",    "fingerprint",  "nonce",
    "signature", "abn",      "tin",       "ein",     "nino",      "cpf",          "cnpj",
    "orcid",     "doi",      "mac",       "ipv6",    "bitcoin",   "nanos",        "micros",
    "millis",    "usec",     "nsec",      "msec",    "unixtime",  "ordinal",      "sim",
    "tac"};
constexpr std::string_view kIdentifierWords[] = {
    "id",         "ids",      "order",       "orders",   "invoice",    "ref",      "reference",
    "tx",         "txn",      "transaction", "account",  "accounts",   "customer", "request",
    "session",    "user",     "ticket",      "case",     "shipment",   "channel",  "message",
    "msg",        "event",    "offset",      "cursor",   "seq",        "sequence", "batch",
    "device",     "article",  "item",        "product",  "sku",        "catalog",  "member",
    "membership", "policy",   "contract",    "license",  "licence",    "key",      "build",
    "job",        "revision", "version",     "size",     "bytes",      "count",    "total",
    "amount",     "balance",  "price",       "sum",      "population", "record",   "row",
    "index",      "national", "identity",    "employee", "student",    "patient",  "registration",
    "vehicle",    "model",    "part",        "lot",      "asset"};
// Words that begin or end with "card" and mean something else.
constexpr std::string_view kNotCards[] = {"discard",  "discards",    "wildcard", "wildcards",
                                          "postcard", "scorecard",   "placard",  "flashcard",
                                          "cardinal", "cardinality", "cardiac",  "cardiff",
                                          "cardio",   "cardboard",   "cardigan", "discarded"};

/// The lists as one hash table of the words' first eight letters, and, for those that are longer,
/// the whole word.
struct WordTable {
  struct Entry {
    uint64_t head = 0;
    std::string_view word;
    uint8_t classes = 0;
  };
  static constexpr size_t kSlots = 1024;
  std::array<Entry, kSlots> entries;

  static uint64_t Head(std::string_view w) {
    uint64_t v = 0;
    std::memcpy(&v, w.data(), std::min<size_t>(w.size(), 8));
    return v;
  }
  static size_t Slot(uint64_t head) { return size_t(head * 0x9e3779b97f4a7c15u >> 54); }
  const Entry* Find(std::string_view w) const {
    const uint64_t head = Head(w);
    for (size_t at = Slot(head); entries[at].head != 0; at = (at + 1) % kSlots) {
      if (entries[at].head == head && entries[at].word == w) return &entries[at];
    }
    return nullptr;
  }
  void Add(std::string_view w, uint8_t c) {
    size_t at = Slot(Head(w));
    while (entries[at].head != 0 && entries[at].word != w) at = (at + 1) % kSlots;
    entries[at] = {Head(w), w, uint8_t(entries[at].classes | c)};
  }
};
uint8_t ClassOf(std::string_view word) {
  static const WordTable* const table = [] {
    auto* t = new WordTable;
    for (std::string_view w : kCardWords) t->Add(w, kCardWord);
    for (std::string_view w : kOtherWords) t->Add(w, kOtherWord);
    for (std::string_view w : kIdentifierWords) t->Add(w, kIdentifierWord);
    return t;
  }();
  const WordTable::Entry* at = table->Find(word);
  return at ? at->classes : 0;
}

/// `classes` are those of the word.
bool IsCardWord(std::string_view w, uint8_t classes) {
  if (classes & kCardWord) return true;
  if (w.size() < 4) return false;
  const size_t car = w.find("car");
  const bool card = (car != w.npos && w.find("card", car) != w.npos) || w.starts_with("kredit") ||
                    w.starts_with("tarjeta") || w.find("kartennum") != std::string_view::npos;
  return card && !In(kNotCards, w);
}

bool IsAscii(std::string_view text) {
  uint8_t any = 0;
  for (const char c : text) any |= uint8_t(c);
  return any < 0x80;
}

/// "unionpay" or "union pay" in any case.
bool NamesUnionPay(std::string_view text) {
  const auto is = [&](size_t at, std::string_view low) {
    if (text.size() - at < low.size()) return false;
    for (size_t i = 0; i < low.size(); i++) {
      const char c = text[at + i];
      if ((c >= 'A' && c <= 'Z' ? char(c | 0x20) : c) != low[i]) return false;
    }
    return true;
  };
  for (size_t i = 0; i + 8 <= text.size(); i++) {
    if ((text[i] | 0x20) == 'u' && (is(i, "unionpay") || is(i, "union pay"))) return true;
  }
  return false;
}

/// Splits at non-letters and at aB; calls f(lower-case word) until it returns true.
template <class F>
void EachWord(std::string_view text, F f) {
  std::array<char, 32> word;
  size_t n = 0;
  for (size_t i = 0; i <= text.size(); i++) {
    const char c = i < text.size() ? text[i] : '\0';
    const bool letter = IsAlpha(c);
    const bool hump = letter && n > 0 && c >= 'A' && c <= 'Z' && i > 0 && text[i - 1] >= 'a';
    if ((!letter || hump) && n > 0) {
      if (f(std::string_view(word.data(), n))) return;
      n = 0;
    }
    if (letter && n < word.size()) word[n++] = char(c | 0x20);
  }
}

std::string Squeeze(std::string_view name) {  // lower-case letters and digits only
  std::string s;
  for (char c : name.substr(0, 64)) {
    if (IsAlpha(c)) s += char(c | 0x20);
    if (IsDigit(c)) s += c;
  }
  return s;
}

bool Mod97Ok(std::string_view iban) {
  int r = 0;
  for (size_t k = 0; k < iban.size(); k++) {
    const char c = iban[(k + 4) % iban.size()];
    if (IsDigit(c)) {
      r = (r * 10 + (c - '0')) % 97;
    } else {
      r = (r * 100 + ((c | 0x20) - 'a' + 10)) % 97;
    }
  }
  return r == 1;
}

/// An IBAN, grouped by single spaces or not, that covers the span.
bool InsideIban(std::string_view text, size_t begin, size_t end) {
  const size_t low = begin > 46 ? begin - 46 : 0;
  for (size_t s = begin; s + 1 > low; s--) {
    if (s + 4 <= text.size() && IsAlpha(text[s]) && IsAlpha(text[s + 1]) && IsDigit(text[s + 2]) &&
        IsDigit(text[s + 3]) && (s == 0 || !(IsAlpha(text[s - 1]) || IsDigit(text[s - 1])))) {
      std::string plain;
      for (size_t i = s; i < text.size() && plain.size() < 34; i++) {
        if (IsAlpha(text[i]) || IsDigit(text[i])) {
          plain += text[i];
        } else if (text[i] != ' ' && text[i] != '-') {
          break;
        }
        if (i + 1 >= end && plain.size() >= 15 && Mod97Ok(plain)) return true;
      }
    }
    if (s == 0) break;
  }
  return false;
}

}  // namespace

HintClass ClassifyHint(std::string_view name) {
  if (name.empty()) return HintClass::none;
  const std::string s = Squeeze(name);
  static constexpr std::string_view kCodes[] = {"cvv",
                                                "cvv2",
                                                "cvc",
                                                "cvc2",
                                                "cvn",
                                                "cvn2",
                                                "cvd",
                                                "cav2",
                                                "cvx2",
                                                "cvxx",
                                                "cardcode",
                                                "securitycode",
                                                "cardsecuritycode",
                                                "cardverificationvalue",
                                                "cardverificationcode",
                                                "verificationvalue",
                                                "cardcvv",
                                                "cardcvc",
                                                "cvvcode",
                                                "cvccode",
                                                "cvvnumber",
                                                "kartenpruefnummer",
                                                "pruefziffer",
                                                "codigoseguridad"};
  if (In(kCodes, s)) return HintClass::card_code;
  if (s.find("pinblock") != std::string::npos || s == "epb" || s == "encryptedpin")
    return HintClass::pin_block;
  static constexpr std::string_view kWeak[] = {
      "cid", "csc", "pin", "cardpin", "code", "verificationcode", "seccode"};
  if (In(kWeak, s)) return HintClass::weak_code;
  if (s.starts_with("track1") || s.starts_with("track2") || s == "trackdata" || s == "magstripe") {
    return HintClass::track;
  }
  HintClass result = HintClass::none;
  EachWord(name, [&](std::string_view w) {
    const uint8_t classes = ClassOf(w);
    if (IsCardWord(w, classes) && w != "acct") {
      result = HintClass::card;
    } else if (result != HintClass::card && (classes & kOtherWord)) {
      result = HintClass::other_number;
    } else if (result == HintClass::none && (classes & kIdentifierWord)) {
      result = HintClass::identifier;
    }
    return false;
  });
  // "card_hash", "pan_fingerprint": a card word, but the value is something else.
  if (result == HintClass::none) {
    for (std::string_view w : kCardWordsOther) {
      if (name.find(w) != std::string_view::npos) return HintClass::card;
    }
    if (s == "ccnumber" || s == "cardno" || s == "accountnumberpan") return HintClass::card;
  }
  return result;
}

WordEvidence WordsAround(std::string_view text, size_t begin, size_t end) {
  WordEvidence e;
  const size_t from = begin > 96 ? begin - 96 : 0, to = std::min(text.size(), end + 40);
  const std::string_view before = text.substr(from, begin - from),
                         after = text.substr(end, to - end);
  // Words before, in order: the last one decides between a card and another kind of number.
  size_t since = 0;
  EachWord(before, [&](std::string_view w) {
    since++;
    const uint8_t classes = ClassOf(w);
    if (IsCardWord(w, classes)) {
      e.card = true, e.other_number = false;
    } else if (classes & kOtherWord) {
      e.other_number = true, since = 0;
    }
    if (classes & kIdentifierWord) e.identifier = true;
    return false;
  });
  if (e.other_number && since > 3) e.other_number = false;  // "IMEI" five words ago says nothing
  const bool ascii = IsAscii(before);
  if (!ascii) {
    for (std::string_view w : kCardWordsOther) e.card |= before.find(w) != std::string_view::npos;
  }
  if (!e.card && !e.other_number) {
    int n = 0;
    EachWord(after,
             [&](std::string_view w) { return (e.card |= IsCardWord(w, ClassOf(w))) || ++n >= 4; });
    if (!IsAscii(after)) {
      for (std::string_view w : kCardWordsOther) e.card |= after.find(w) != std::string_view::npos;
    }
  }
  e.unionpay = NamesUnionPay(before);
  if (!ascii) {
    for (std::string_view w : kUnionPayWords) e.unionpay |= before.find(w) != before.npos;
  }
  e.card |= e.unionpay;
  return e;
}

bool InsideOtherToken(std::string_view text, size_t begin, size_t end) {
  // The token of hexadecimal digits and dashes around the span.
  size_t s = begin, e = end;
  while (s > 0 && begin - s < 96 && (IsHex(text[s - 1]) || text[s - 1] == '-')) s--;
  while (e < text.size() && e - end < 96 && (IsHex(text[e]) || text[e] == '-')) e++;
  const std::string_view token = text.substr(s, e - s);
  for (size_t i = 0; i + 36 <= token.size(); i++) {
    if (token[i + 8] != '-' || token[i + 13] != '-' || token[i + 18] != '-' || token[i + 23] != '-')
      continue;
    bool shape = true;
    for (size_t k = 0; k < 36 && shape; k++)
      shape = k == 8 || k == 13 || k == 18 || k == 23 || IsHex(token[i + k]);
    if (shape && s + i < end && s + i + 36 > begin) return true;
  }
  // A run of hexadecimal digits with letters on it: a hash, an object id.
  size_t hs = begin, he = end;
  while (hs > 0 && begin - hs < 140 && IsHex(text[hs - 1])) hs--;
  while (he < text.size() && he - end < 140 && IsHex(text[he])) he++;
  const bool whole = (hs == 0 || !(IsAlpha(text[hs - 1]) || IsDigit(text[hs - 1]))) &&
                     (he == text.size() || !(IsAlpha(text[he]) || IsDigit(text[he])));
  const size_t n = he - hs;
  int turns = 0, letters = 0;
  for (size_t i = hs; i < he; i++) {
    letters += IsAlpha(text[i]);
    if (i > hs) turns += IsAlpha(text[i]) != IsAlpha(text[i - 1]);
  }
  if (letters > 0 && n > end - begin) {
    if (whole && (n == 32 || n == 40 || n == 56 || n == 64 || n == 96 || n == 128)) return true;
    if (n >= 20 && turns >= 3 && letters >= 3) return true;
  }
  // IPv6: groups of hexadecimal digits with at least four colons, or "::".
  if (text.substr(begin, end - begin).find(':') != std::string_view::npos) {
    if ((end < text.size() && text[end] == ':') || (begin > 0 && text[begin - 1] == ':'))
      return true;
  }
  return InsideIban(text, begin, end);
}

}  // namespace sallyport::mask
