#pragma once

#include <string>
#include <string_view>

#include "mask/masker.h"

namespace sallyport::mask {

/// `pan_<keyid>_<26 base32>`: 130 bits of HMAC-SHA-256 over the whole number (PCI DSS 3.5.1.1). The
/// same number gives the same token as long as the key stays.
std::string PanToken(const Masker::Impl& impl, std::string_view digits);

/// An integer of as many digits that cannot be a card number: first digit 7 (16 digits stay under
/// 2^53, 19 under 2^63), the check digit is wrong, the rest is keyed by HMAC.
std::string NumericSurrogate(const Masker::Impl& impl, std::string_view digits);

/// A short name of the key that says nothing about it.
std::string KeyId(const Secret& key);

/// Which of `n` digits stay visible.
inline bool Visible(Render render, int index, int n) {
  switch (render) {
    case Render::last4:
      return index >= n - 4;
    case Render::first6_last4:
      return index < 6 || index >= n - 4;
    case Render::full:
    case Render::token:
      return false;
  }
  return false;
}

}  // namespace sallyport::mask
