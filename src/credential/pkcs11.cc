#include "credential/pkcs11.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <openssl/evp.h>
#include <shared_mutex>

#include "base/bytes.h"
#include "credential/pkcs11_module.h"
#include "obs/log.h"
#include "secrets/source.h"

namespace sallyport::credential {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kFirstPause{1}, kLongestPause{30};
constexpr CK_ULONG kBits = 2048, kMostSignature = 1024;
constexpr size_t kMostIdle = 8;  // sessions kept for the next signature
// RFC 8017 section 9.2, note 1: what stands before a SHA-256 in a signature.
constexpr std::string_view kSha256Info(
    "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20", 19);

std::string Sha256(std::string_view text) {
  std::string hash(32, '\0');
  EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(),
               reinterpret_cast<uint8_t*>(hash.data()), nullptr);
  return hash;
}

class TokenKeys final : public Pkcs11 {
 public:
  explicit TokenKeys(Pkcs11Config config) : config_(std::move(config)) {}
  ~TokenKeys() override {
    if (connected_) p11_->C_Finalize(nullptr);
  }

  /// `careful`: shows no PIN to a token that counts wrong ones already.
  Result<> Start(bool careful) {
    SALLYPORT_TRY(p11_, LoadModule(config_.module));
    const std::unique_lock lock(life_);
    return Connect(careful);
  }

  Result<std::vector<Key>> Keys() override;
  Result<Key> Generate(const std::string& id) override;
  Result<> Destroy(const std::string& id) override;
  Result<std::string> Sign(const std::string& id, std::string_view text) override;

 private:
  using Work = std::function<CK_RV(CK_SESSION_HANDLE)>;
  enum class Access { reads, writes };

  Template PrivateKeys() const;
  Result<> Run(std::string_view what, Access access, const Work& work);
  CK_RV OnSession(Access access, const Work& work);
  CK_RV DestroyAll(CK_SESSION_HANDLE session, const std::string& id);
  Result<> Reconnect(uint64_t failed);
  Result<> Connect(bool careful = false);  // with life_
  Result<> Login(CK_SLOT_ID slot, bool careful);
  Result<> CheckPin(CK_SLOT_ID slot, const std::string& digest, bool careful) const;
  CK_RV ReadKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, Key& key,
                std::string& unsafe) const;

  const Pkcs11Config config_;
  CK_FUNCTION_LIST_PTR p11_ = nullptr;

  std::shared_mutex life_;  // shared: in use; exclusive: started anew
  bool connected_ = false;
  uint64_t generation_ = 0;  // of the connection
  CK_SLOT_ID slot_ = 0;
  CK_SESSION_HANDLE login_ = 0;  // the login lasts as long as a session is open
  CK_MECHANISM_TYPE mechanism_ = CKM_SHA256_RSA_PKCS;
  std::string refused_pin_;  // SHA-256
  int failures_ = 0;
  Steady::time_point not_before_ = Steady::time_point::min();
  Error last_error_;

  std::mutex idle_mutex_;
  std::vector<CK_SESSION_HANDLE> idle_;              // of this generation
  std::map<std::string, CK_OBJECT_HANDLE> handles_;  // of private keys, of this generation
};

Template TokenKeys::PrivateKeys() const {
  Template what;
  what.Set(CKA_CLASS, CK_ULONG(CKO_PRIVATE_KEY))
      .Set(CKA_KEY_TYPE, CK_ULONG(CKK_RSA))
      .Set(CKA_TOKEN, true)
      .Set(CKA_LABEL, config_.key_label);
  return what;
}

/// A locked token is somebody's way to the machine room: a wrong PIN is shown once.
Result<> TokenKeys::CheckPin(CK_SLOT_ID slot, const std::string& digest, bool careful) const {
  CK_TOKEN_INFO info{};
  if (const CK_RV rv = p11_->C_GetTokenInfo(slot, &info); rv != CKR_OK)
    return Fail(Errc::io_failed, "the token does not say how it is: " + NameOf(rv));
  if ((info.flags & CKF_USER_PIN_INITIALIZED) == 0)
    return Fail(Errc::config_invalid, "the token has no user PIN yet");
  if ((info.flags & CKF_USER_PIN_LOCKED) != 0)
    return Fail(Errc::config_invalid, "the token's PIN is locked");
  if ((info.flags & CKF_USER_PIN_FINAL_TRY) != 0)
    return Fail(Errc::config_invalid,
                "the next wrong PIN would lock the token, so none is shown: log in to it once by "
                "other means");
  if (careful && (info.flags & CKF_USER_PIN_COUNT_LOW) != 0)
    return Fail(Errc::config_invalid, "the token was shown a wrong PIN last");
  if (digest == refused_pin_)
    return Fail(Errc::config_invalid,
                "the token refused this PIN; it is not shown again until it changes");
  return {};
}

Result<> TokenKeys::Login(CK_SLOT_ID slot, bool careful) {
  auto pin = secrets::Resolve(config_.pin);
  if (!pin) return Fail(Errc::config_invalid, "pin: " + pin.error().detail);
  const std::string digest = Sha256(pin->Reveal());
  SALLYPORT_CHECK(CheckPin(slot, digest, careful));
  if (const CK_RV rv = p11_->C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &login_);
      rv != CKR_OK)
    return Fail(Errc::io_failed, "no session with the token: " + NameOf(rv));
  std::string text(pin->Reveal());
  const CK_RV rv = p11_->C_Login(login_, CKU_USER, reinterpret_cast<CK_UTF8CHAR*>(text.data()),
                                 CK_ULONG(text.size()));
  explicit_bzero(text.data(), text.size());
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return {};
  const bool refused = rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID ||
                       rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
  if (refused) refused_pin_ = digest;
  return Fail(refused ? Errc::config_invalid : Errc::io_failed,
              "the token refuses the login: " + NameOf(rv));
}

/// Starts the library, finds the token and logs in.
Result<> TokenKeys::Connect(bool careful) {
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  if (const CK_RV rv = p11_->C_Initialize(&arguments);
      rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
    return Fail(Errc::io_failed, "the library does not start: " + NameOf(rv));
  const auto all = [&]() -> Result<> {
    SALLYPORT_TRY(slot_, FindSlot(*p11_, config_.token_label, config_.slot));
    SALLYPORT_TRY(mechanism_, FindMechanism(*p11_, slot_));
    return Login(slot_, careful);
  };
  Result<> done = all();
  if (!done) {
    p11_->C_Finalize(nullptr);
    return done;
  }
  const std::lock_guard lock(idle_mutex_);
  idle_.clear();
  handles_.clear();
  connected_ = true;
  ++generation_;
  return {};
}

/// After a failure of the connection `failed`; 0: there was none.
Result<> TokenKeys::Reconnect(uint64_t failed) {
  const std::unique_lock lock(life_);
  if (connected_ && generation_ != failed) return {};  // somebody else did
  if (Steady::now() < not_before_) return std::unexpected(last_error_);
  if (std::exchange(connected_, false)) p11_->C_Finalize(nullptr);
  Result<> done = Connect();
  const auto pause =
      std::min<std::chrono::seconds>(kFirstPause * (1 << std::min(failures_, 5)), kLongestPause);
  not_before_ = Steady::now() + pause;
  if (done) {
    failures_ = 0;
    obs::Log(obs::Level::info, "credential.token_opened", {});
    return {};
  }
  ++failures_;
  last_error_ = done.error();
  obs::Log(obs::Level::error, "credential.token_failed", {{"detail", last_error_.detail}});
  return done;
}

/// With life_ shared. A session in which something failed is not used again.
CK_RV TokenKeys::OnSession(Access access, const Work& work) {
  CK_SESSION_HANDLE session = 0;
  if (access == Access::reads) {
    const std::lock_guard lock(idle_mutex_);
    if (!idle_.empty()) {
      session = idle_.back();
      idle_.pop_back();
    }
  }
  if (session == 0) {
    const CK_FLAGS flags =
        CKF_SERIAL_SESSION | (access == Access::writes ? CKF_RW_SESSION : CK_FLAGS(0));
    const CK_RV rv = p11_->C_OpenSession(slot_, flags, nullptr, nullptr, &session);
    if (rv != CKR_OK) return rv;
  }
  const CK_RV rv = work(session);
  {
    const std::lock_guard lock(idle_mutex_);
    if (rv == CKR_OK && access == Access::reads && idle_.size() < kMostIdle) {
      idle_.push_back(session);
      return rv;
    }
  }
  p11_->C_CloseSession(session);
  return rv;
}

Result<> TokenKeys::Run(std::string_view what, Access access, const Work& work) {
  for (int attempt = 0;; ++attempt) {
    uint64_t failed = 0;
    {
      const std::shared_lock lock(life_);
      if (connected_) {
        failed = generation_;
        const CK_RV rv = OnSession(access, work);
        if (rv == CKR_OK) return {};
        if (attempt > 0) return Fail(Errc::io_failed, std::string(what) + ": " + NameOf(rv));
      }
    }
    SALLYPORT_CHECK(Reconnect(failed));
  }
}

/// `unsafe` says what is wrong with a key that could leave the token.
CK_RV TokenKeys::ReadKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, Key& key,
                         std::string& unsafe) const {
  for (const auto& [type, value] :
       {std::pair(CKA_ID, &key.id), std::pair(CKA_MODULUS, &key.modulus),
        std::pair(CKA_PUBLIC_EXPONENT, &key.exponent)}) {
    if (const CK_RV rv = ReadAttribute(*p11_, session, object, type, *value); rv != CKR_OK)
      return rv;
  }
  for (std::string* number : {&key.modulus, &key.exponent})
    number->erase(0, std::min(number->find_first_not_of('\0'), number->size()));
  const auto is = [&](CK_ATTRIBUTE_TYPE type) { return IsTrue(*p11_, session, object, type); };
  if (!is(CKA_LOCAL) || !is(CKA_NEVER_EXTRACTABLE) || !is(CKA_ALWAYS_SENSITIVE))
    unsafe = "a key with our label was not made in the token, or could have left it";
  if (is(CKA_EXTRACTABLE) || !is(CKA_SENSITIVE))
    unsafe = "a key with our label can leave the token";
  return CKR_OK;
}

Result<std::vector<Pkcs11::Key>> TokenKeys::Keys() {
  std::vector<Key> keys;
  std::string unsafe;
  SALLYPORT_CHECK(Run("the keys cannot be read", Access::reads, [&](CK_SESSION_HANDLE session) {
    keys.clear();
    Template what = PrivateKeys();
    std::vector<CK_OBJECT_HANDLE> found;
    if (const CK_RV rv = FindObjects(*p11_, session, what, found); rv != CKR_OK) return rv;
    for (const CK_OBJECT_HANDLE object : found) {
      Key key;
      if (const CK_RV rv = ReadKey(session, object, key, unsafe); rv != CKR_OK) return rv;
      const std::lock_guard lock(idle_mutex_);
      handles_[key.id] = object;
      keys.push_back(std::move(key));
    }
    return CK_RV(CKR_OK);
  }));
  if (!unsafe.empty()) return Fail(Errc::config_invalid, unsafe);
  return keys;
}

Result<Pkcs11::Key> TokenKeys::Generate(const std::string& id) {
  Template common, open, secret;
  for (Template* t : {&open, &secret}) {
    t->Set(CKA_TOKEN, true).Set(CKA_LABEL, config_.key_label).Set(CKA_ID, id);
  }
  open.Set(CKA_VERIFY, true)
      .Set(CKA_MODULUS_BITS, kBits)
      .Set(CKA_PUBLIC_EXPONENT, std::string_view("\x01\x00\x01", 3));
  secret.Set(CKA_PRIVATE, true)
      .Set(CKA_SENSITIVE, true)
      .Set(CKA_EXTRACTABLE, false)
      .Set(CKA_SIGN, true);
  Key key;
  std::string unsafe;
  SALLYPORT_CHECK(Run("no key can be made", Access::writes, [&](CK_SESSION_HANDLE session) {
    // A session that was lost may have made one already.
    if (const CK_RV rv = DestroyAll(session, id); rv != CKR_OK) return rv;
    CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
    CK_OBJECT_HANDLE public_key = 0, private_key = 0;
    const CK_RV rv =
        p11_->C_GenerateKeyPair(session, &mechanism, open.data(), open.size(), secret.data(),
                                secret.size(), &public_key, &private_key);
    return rv != CKR_OK ? rv : ReadKey(session, private_key, key, unsafe);
  }));
  if (unsafe.empty()) return key;
  (void)Destroy(id);
  return Fail(Errc::config_invalid, "the token makes keys that can leave it");
}

CK_RV TokenKeys::DestroyAll(CK_SESSION_HANDLE session, const std::string& id) {
  Template what;
  what.Set(CKA_TOKEN, true).Set(CKA_LABEL, config_.key_label).Set(CKA_ID, id);
  std::vector<CK_OBJECT_HANDLE> found;
  CK_RV rv = FindObjects(*p11_, session, what, found);
  for (size_t i = 0; rv == CKR_OK && i < found.size(); ++i)
    rv = p11_->C_DestroyObject(session, found[i]);
  const std::lock_guard lock(idle_mutex_);
  handles_.erase(id);
  return rv;
}

Result<> TokenKeys::Destroy(const std::string& id) {
  return Run("the key cannot be destroyed", Access::writes,
             [&](CK_SESSION_HANDLE session) { return DestroyAll(session, id); });
}

Result<std::string> TokenKeys::Sign(const std::string& id, std::string_view text) {
  std::string signature;
  SALLYPORT_CHECK(Run("the token does not sign", Access::reads, [&](CK_SESSION_HANDLE session) {
    CK_OBJECT_HANDLE key = 0;
    {
      const std::lock_guard lock(idle_mutex_);
      const auto at = handles_.find(id);
      if (at != handles_.end()) key = at->second;
    }
    if (key == 0) {
      Template what = PrivateKeys();
      what.Set(CKA_ID, id);
      std::vector<CK_OBJECT_HANDLE> found;
      if (const CK_RV rv = FindObjects(*p11_, session, what, found); rv != CKR_OK) return rv;
      if (found.empty()) return CK_RV(CKR_KEY_HANDLE_INVALID);
      key = found.front();
      const std::lock_guard lock(idle_mutex_);
      handles_[id] = key;
    }
    CK_MECHANISM mechanism{mechanism_, nullptr, 0};
    std::string input(text);
    if (mechanism_ == CKM_RSA_PKCS) input = std::string(kSha256Info) + Sha256(text);
    if (const CK_RV rv = p11_->C_SignInit(session, &mechanism, key); rv != CKR_OK) return rv;
    signature.assign(kMostSignature, '\0');
    CK_ULONG size = signature.size();
    const CK_RV rv = p11_->C_Sign(session, reinterpret_cast<uint8_t*>(input.data()), input.size(),
                                  reinterpret_cast<uint8_t*>(signature.data()), &size);
    signature.resize(std::min<CK_ULONG>(size, signature.size()));
    return rv;
  }));
  return signature;
}

}  // namespace

Result<std::shared_ptr<Pkcs11>> Pkcs11::Open(Pkcs11Config config) {
  auto token = std::make_shared<TokenKeys>(std::move(config));
  SALLYPORT_CHECK(token->Start(false));
  return token;
}

Result<> Pkcs11::Check(const Pkcs11Config& config) {
  TokenKeys token(config);
  SALLYPORT_CHECK(token.Start(true));
  SALLYPORT_CHECK(token.Keys());
  return {};
}

}  // namespace sallyport::credential
