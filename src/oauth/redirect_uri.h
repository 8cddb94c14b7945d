#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport::oauth {

/// A redirect URI that codes may be sent to: an absolute URI in plain ASCII, without fragment, user
/// name, wildcard or backslash.
///
/// Source: RFC 6749 section 3.1.2, RFC 8252 sections 7 and 8, RFC 9700 section 4.1.
struct RedirectUri {
  enum class Kind {
    web,       // https
    loopback,  // http to 127.0.0.1, [::1] or localhost: a program of the person's own machine
    native,    // a private-use scheme that a program has registered with its system
  };
  Kind kind = Kind::web;
  std::string text;  // as it was given
  std::string host;  // lower case, with the brackets of IPv6; of a native one its scheme
  std::string port;  // empty: none
  std::string rest;  // path and query

  /// request_malformed says what is wrong. Schemes of native programs need a dot, as nobody owns a
  /// word (RFC 8252 section 7.1), unless an administrator has entered them: `trusted`.
  static Result<RedirectUri> Parse(std::string_view text, bool trusted = false);

  /// Whether an answer may go to `given` because this was registered: the same text, but for the
  /// port of a loopback address (RFC 8252 section 7.3).
  bool Allows(const RedirectUri& given) const;
  /// The text without the port of a loopback address: what a consent is remembered for.
  std::string Portless() const;
};

}  // namespace sallyport::oauth
