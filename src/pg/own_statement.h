#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mask/masker.h"
#include "op/unmask.h"

namespace sallyport::pg {

/// A statement about the settings of the gateway itself, which the server never sees:
///
///     SET sallyport.unmask = 'pan'            -- detectors, with commas between them
///     SET sallyport.unmask_reason = 'case 7'
///     RESET sallyport.unmask                  -- both: SET … TO DEFAULT
///     SHOW sallyport.unmask
///
/// Each stands alone in its text; what is written otherwise is refused by the analysis.
struct OwnStatement {
  enum class Verb : uint8_t { set, reset, show };
  Verb verb = Verb::show;
  bool reason = false;  // which of the two
  std::string value;    // of set

  std::string_view tag() const {
    return verb == Verb::set ? "SET" : verb == Verb::reset ? "RESET" : "SHOW";
  }
};

/// nullopt (nearly always): it is none.
std::optional<OwnStatement> ReadOwnStatement(std::string_view text);

/// What a session asks to see in clear. Holds until it is reset.
class UnmaskSetting {
 public:
  /// request_malformed: no list of names, or too long.
  Result<> Check(const OwnStatement& own) const;
  /// As checked. The reason is masked with `masker`.
  void Apply(const OwnStatement& own, const mask::Masker& masker);
  void Reset() { ask_.reset(), reason_ = {}; }
  /// Null: nothing.
  const op::UnmaskAsk* ask() const { return ask_ ? &*ask_ : nullptr; }
  /// What the server is sent in its place: it has the same kind of answer, and no effect.
  std::string Stand(const OwnStatement& own) const;

 private:
  std::optional<op::UnmaskAsk> ask_;
  MaskedText reason_;
};

}  // namespace sallyport::pg
