#include "credential/pkcs11_module.h"

#include <array>
#include <dlfcn.h>
#include <map>

namespace sallyport::credential {
namespace {

constexpr CK_ULONG kMostObjects = 256, kMostBytes = 4096;

std::unexpected<Error> Invalid(std::string detail) {
  return Fail(Errc::config_invalid, std::move(detail));
}

/// Fields of CK_TOKEN_INFO are filled up with blanks.
std::string_view Trimmed(const CK_UTF8CHAR* text, size_t size) {
  std::string_view out(reinterpret_cast<const char*>(text), size);
  while (out.ends_with(' ') || out.ends_with('\0')) out.remove_suffix(1);
  return out;
}

}  // namespace

std::string NameOf(CK_RV code) {
  static const std::map<CK_RV, const char*> kNames{
      {CKR_HOST_MEMORY, "CKR_HOST_MEMORY"},
      {CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID"},
      {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"},
      {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED"},
      {CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID"},
      {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"},
      {CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY"},
      {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
      {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID"},
      {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID"},
      {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID"},
      {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT"},
      {CKR_PIN_INVALID, "CKR_PIN_INVALID"},
      {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE"},
      {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED"},
      {CKR_PIN_LOCKED, "CKR_PIN_LOCKED"},
      {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED"},
      {CKR_SESSION_COUNT, "CKR_SESSION_COUNT"},
      {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID"},
      {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
      {CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED"},
      {CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED"},
      {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN"},
      {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED"},
      {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED"}};
  const auto at = kNames.find(code);
  return at != kNames.end() ? at->second : "CKR " + std::to_string(code);
}

Result<CK_FUNCTION_LIST_PTR> LoadModule(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (error || !std::filesystem::is_regular_file(status))
    return Invalid(file.string() + ": there is no such library");
  if ((status.permissions() & std::filesystem::perms::others_write) != std::filesystem::perms::none)
    return Invalid(file.string() + ": everybody may write to this library");
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Invalid(file.string() + " is no library that can be loaded");
  const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST_PTR functions = nullptr;
  if (list == nullptr || list(&functions) != CKR_OK || functions == nullptr ||
      functions->version.major < 2 || functions->version.major > 3)
    return Invalid(file.string() + " is no PKCS #11 library");
  return functions;
}

Result<CK_SLOT_ID> FindSlot(CK_FUNCTION_LIST& p11, std::string_view label,
                            std::optional<uint64_t> number) {
  std::array<CK_SLOT_ID, kMostObjects> slots{};
  CK_ULONG count = slots.size();
  if (const CK_RV rv = p11.C_GetSlotList(CK_TRUE, slots.data(), &count); rv != CKR_OK)
    return Fail(Errc::io_failed, "the slots cannot be listed: " + NameOf(rv));
  std::optional<CK_SLOT_ID> found;
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_TOKEN_INFO info{};
    if (p11.C_GetTokenInfo(slots[i], &info) != CKR_OK) continue;
    const bool here = number ? slots[i] == *number
                             : (info.flags & CKF_TOKEN_INITIALIZED) != 0 &&
                                   Trimmed(info.label, sizeof info.label) == label;
    if (!here) continue;
    if (found) return Invalid("there is more than one token with this label: name the slot");
    found = slots[i];
  }
  if (found) return *found;
  return Invalid(number ? "there is no token in this slot" : "there is no token with this label");
}

Result<CK_MECHANISM_TYPE> FindMechanism(CK_FUNCTION_LIST& p11, CK_SLOT_ID slot) {
  for (const CK_MECHANISM_TYPE type : {CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS}) {
    CK_MECHANISM_INFO info{};
    if (p11.C_GetMechanismInfo(slot, type, &info) == CKR_OK && (info.flags & CKF_SIGN) != 0)
      return type;
  }
  return Invalid("the token makes no RSA signatures (CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS)");
}

Template& Template::Set(CK_ATTRIBUTE_TYPE type, bool value) {
  values_.emplace_back(type, std::string(1, value ? char(CK_TRUE) : char(CK_FALSE)));
  return *this;
}

Template& Template::Set(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
  values_.emplace_back(type, std::string(reinterpret_cast<const char*>(&value), sizeof value));
  return *this;
}

Template& Template::Set(CK_ATTRIBUTE_TYPE type, std::string_view value) {
  values_.emplace_back(type, std::string(value));
  return *this;
}

CK_ATTRIBUTE* Template::data() {
  attributes_.clear();
  for (auto& [type, value] : values_) attributes_.push_back({type, value.data(), value.size()});
  return attributes_.data();
}

CK_RV FindObjects(CK_FUNCTION_LIST& p11, CK_SESSION_HANDLE session, Template& what,
                  std::vector<CK_OBJECT_HANDLE>& found) {
  found.clear();
  CK_RV rv = p11.C_FindObjectsInit(session, what.data(), what.size());
  if (rv != CKR_OK) return rv;
  while (found.size() < kMostObjects) {
    std::array<CK_OBJECT_HANDLE, 16> some{};
    CK_ULONG count = 0;
    rv = p11.C_FindObjects(session, some.data(), some.size(), &count);
    if (rv != CKR_OK || count == 0) break;
    found.insert(found.end(), some.begin(), some.begin() + std::min<CK_ULONG>(count, some.size()));
  }
  const CK_RV end = p11.C_FindObjectsFinal(session);
  return rv != CKR_OK ? rv : end;
}

CK_RV ReadAttribute(CK_FUNCTION_LIST& p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                    CK_ATTRIBUTE_TYPE type, std::string& value) {
  value.assign(kMostBytes, '\0');
  CK_ATTRIBUTE attribute{type, value.data(), value.size()};
  const CK_RV rv = p11.C_GetAttributeValue(session, object, &attribute, 1);
  if (rv != CKR_OK) return rv;
  if (attribute.ulValueLen > kMostBytes) return CKR_GENERAL_ERROR;
  value.resize(attribute.ulValueLen);
  return CKR_OK;
}

bool IsTrue(CK_FUNCTION_LIST& p11, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
            CK_ATTRIBUTE_TYPE type) {
  std::string value;
  return ReadAttribute(p11, session, object, type, value) == CKR_OK && value.size() == 1 &&
         value[0] == char(CK_TRUE);
}

}  // namespace sallyport::credential
