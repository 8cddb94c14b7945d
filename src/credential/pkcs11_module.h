#pragma once

#include <filesystem>
#include <optional>
#include <p11-kit/pkcs11.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// What PKCS #11 calls things, for pkcs11.cc.

namespace sallyport::credential {

/// "CKR_PIN_INCORRECT", or the number.
std::string NameOf(CK_RV code);

/// The functions of a library that stays loaded for good: libraries of tokens seldom survive being
/// unloaded. config_invalid: it is not there, not a PKCS #11 library of version 2 or 3, or
/// everybody may write to it.
Result<CK_FUNCTION_LIST_PTR> LoadModule(const std::filesystem::path& file);

/// The slot with the token of that label, or with any token if `number` says which slot.
/// config_invalid: there is none, or more than one.
Result<CK_SLOT_ID> FindSlot(CK_FUNCTION_LIST& p11, std::string_view label,
                            std::optional<uint64_t> number);

/// RSA signatures with SHA-256: CKM_SHA256_RSA_PKCS, else CKM_RSA_PKCS. config_invalid: neither.
Result<CK_MECHANISM_TYPE> FindMechanism(CK_FUNCTION_LIST& p11, CK_SLOT_ID slot);

/// What a search or a new object says of itself.
class Template {
 public:
  Template& Set(CK_ATTRIBUTE_TYPE type, bool value);
  Template& Set(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  Template& Set(CK_ATTRIBUTE_TYPE type, std::string_view value);
  /// Valid until the next change.
  CK_ATTRIBUTE* data();
  CK_ULONG size() const { return values_.size(); }

 private:
  std::vector<std::pair<CK_ATTRIBUTE_TYPE, std::string>> values_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

/// The objects that match, at most 256.
CK_RV FindObjects(CK_FUNCTION_LIST& p11, CK_SESSION_HANDLE session, Template& what,
                  std::vector<CK_OBJECT_HANDLE>& found);
/// An attribute's bytes, at most 4,096.
CK_RV ReadAttribute(CK_FUNCTION_LIST& p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                    CK_ATTRIBUTE_TYPE type, std::string& value);
/// Whether a boolean attribute is there and true.
bool IsTrue(CK_FUNCTION_LIST& p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
            CK_ATTRIBUTE_TYPE type);

}  // namespace sallyport::credential
