#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::mask {

class Clear;

enum class DetectorKind : uint8_t { pan, sad, regex };

/// How a masked card number is shown. PCI DSS 3.4.1 allows at most BIN and last four; `last4` is
/// the default because the reader is usually a model's context. `token` is `pan_<keyid>_<26
/// base32>`: HMAC-SHA-256 over the whole number cut to 130 bits (PCI DSS 3.5.1.1). SAD is never
/// rendered, it is removed.
enum class Render : uint8_t { last4, first6_last4, full, token };

/// `mask` edits the text. `block` edits it too and sets `Tally::blocked`: the caller refuses the
/// message.
enum class Action : uint8_t { mask, block };

/// What an operator configures under `masking.detectors`.
struct DetectorSpec {
  std::string name;
  DetectorKind kind = DetectorKind::pan;
  Render render = Render::last4;
  Action action = Action::mask;
  std::string pattern;  // kind regex only: RE2 syntax
};

/// Why a finding is one; `Finding::evidence` is the union.
enum Evidence : uint32_t {
  kLuhn = 1u << 0,        // the check digit is right
  kIin = 1u << 1,         // a known network issues this prefix with this length
  kContext = 1u << 2,     // a card word or card-like key stands near
  kGrouped = 1u << 3,     // digits in groups that cards are printed in
  kContiguous = 1u << 4,  // one unbroken run of digits
  kFolded = 1u << 5,      // other digits, invisible characters or escapes were folded away
  kDecoded = 1u << 6,     // found inside base64, hex, gzip, …
  kStructure = 1u << 7,   // EMV TLV, ISO 8583, track, PAN followed by expiry
  kJoined = 1u << 8,      // put together from several JSON values, events or columns
  kTrack = 1u << 9,       // sensitive authentication data: track 1 or 2
  kCardCode = 1u << 10,   // … card verification code
  kPin = 1u << 11,        // … PIN or PIN block
  kPattern = 1u << 12,    // an operator's regular expression
};

/// The names of the set bits, e.g. "luhn", "iin". Static lifetime.
std::vector<std::string_view> EvidenceNames(uint32_t evidence);

/// `begin` and `end` are a byte span in the text that was given. A number that is spread over
/// several places has one finding from its first to its last digit. A card number inside track data
/// is listed as `pan` and the track around it as `sad`. `detector` lives as long as the Masker,
/// `network` is static.
struct Finding {
  size_t begin = 0, end = 0;
  std::string_view detector;
  DetectorKind kind = DetectorKind::pan;
  std::string_view network;
  uint32_t evidence = 0;
};

/// Where something was masked: a JSON pointer (empty for a plain text) that itself holds no card
/// number.
struct Place {
  std::string pointer;
  DetectorKind kind = DetectorKind::pan;
  uint32_t count = 0;
};

/// Counts of one message; calls add up, so one Tally may be passed to several. At most `kMaxPlaces`
/// places.
struct Tally {
  static constexpr size_t kMaxPlaces = 64;
  uint32_t pan = 0, sad = 0, regex = 0;
  bool blocked = false;  // a detector with Action::block fired
  std::vector<Place> places;

  bool Empty() const { return pan == 0 && sad == 0 && regex == 0; }
};

/// What is known about a text besides its bytes.
struct Context {
  std::string_view
      hint;  // column name or JSON key: "card_number" raises, "isbn" lowers the verdict
  std::string_view pointer;  // copied into Tally::places
  bool card_object =
      false;  // a card number is known to stand beside this value (a row, a card object)
};

/// What becomes of a JSON number that is a card number.
enum class NumberPolicy : uint8_t {
  string,     // "************1111" (the default: no schema known, or the schema allows strings)
  null,       // null
  surrogate,  // an integer of as many digits: first digit 7, fails Luhn, keyed (HMAC); 16 digits <
              // 2^53
};

/// A pointer pattern is an RFC 6901 pointer in which the segment `*` stands for any one segment,
/// e.g.
/// "/result/structuredContent/rows/*/pan".
struct JsonOptions {
  std::vector<std::string>
      keep;  // leaves and subtrees that are not looked into, e.g. "/jsonrpc", "/id"
  NumberPolicy numbers = NumberPolicy::string;
  std::vector<std::pair<std::string, NumberPolicy>> number_rules;  // the first that matches wins
  size_t max_depth = 64;                                           // nesting of arrays and objects
  size_t max_string_depth =
      4;  // JSON text inside JSON strings; deeper text is still scanned as text
};

/// The detectors of one configuration. Immutable after Make, thread-safe, shared by all shards.
/// Holds no state about what it has seen. Every function is total on arbitrary bytes, and linear in
/// their number.
class Masker {
 public:
  /// `token_key` keys tokens and surrogates; at least 16 bytes when a `token` render is configured.
  /// config_invalid: bad or empty regex, unnamed or twice-named detector, short key.
  static Result<std::shared_ptr<const Masker>> Make(std::span<const DetectorSpec> specs,
                                                    Secret token_key);
  ~Masker();

  /// One text. When something was found: appends the masked text to `out`, adds to `tally`, returns
  /// true. When nothing was found: returns false and leaves `out` alone (the text can go as it is).
  /// Masking the result again finds nothing.
  bool MaskText(std::string_view text, const Context& context, std::string& out,
                Tally& tally) const;
  /// The same with the findings, in order of `begin`.
  bool MaskText(std::string_view text, const Context& context, std::string& out, Tally& tally,
                std::vector<Finding>& findings) const;
  void FindText(std::string_view text, const Context& context,
                std::vector<Finding>& findings) const;

  /// One JSON text. Strings and keys are decoded, edited and re-encoded, numbers follow `options`,
  /// JSON inside strings is looked into, neighbouring values that make up one number are joined.
  /// Bytes that are not part of an edited token are copied verbatim, and the result is JSON.
  /// Returns as MaskText does. mask_failed: not JSON, or a limit of `options` was hit; the caller
  /// must not let the bytes pass. Text in which nothing can be is not parsed (MayContain).
  Result<bool> MaskJson(std::string_view json, const JsonOptions& options, std::string& out,
                        Tally& tally, std::vector<Finding>* findings = nullptr) const;

  /// As MaskJson of a text that MaskJson has masked and not blocked, for a client that may see some
  /// values: what `clear` lets pass stays as it is, everything else is masked. False, with `out` as
  /// it was: nothing may stay, the masked text is what goes out.
  Result<bool> RevealJson(std::string_view json, const JsonOptions& options, Clear& clear,
                          std::string& out) const;

  /// A cheap look at raw bytes (text or JSON): false means that there is surely nothing to find.
  bool MayContain(std::string_view bytes) const;

  /// The version of the table of issuer ranges, e.g. "2026-11-21.1", for the record of an action.
  static std::string_view TableVersion();

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Masker(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace sallyport::mask
