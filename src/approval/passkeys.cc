#include "approval/passkeys.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <openssl/sha.h>

#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::approval {
namespace {

using nlohmann::json;

constexpr Nanos kChallengeTime = Nanos{300} * 1'000'000'000;
constexpr size_t kMostChallenges = 10'000;

constexpr size_t kLongestWhy = 2000;  // bytes

constexpr const char* kSteps[] = {R"(
CREATE TABLE passkey (
  id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, sign_count INTEGER NOT NULL,
  doc TEXT NOT NULL) STRICT, WITHOUT ROWID;
)",
                                  R"(
ALTER TABLE passkey ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE passkey ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
)"};

std::string Write(const Passkey& key) {
  return json{{"algorithm", static_cast<int32_t>(key.algorithm)},
              {"public_key", key.public_key},
              {"name", key.name},
              {"created", key.created},
              {"entry", key.entry}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

/// What the log says of a new key: enough to check its signatures for ever.
std::string KeyJson(const Passkey& key, const RelyingParty& party) {
  return json{{"credential", key.id},
              {"algorithm", static_cast<int32_t>(key.algorithm)},
              {"public_key", key.public_key},
              {"origin", party.origin},
              {"rp_id", party.id}}
      .dump();
}

state::Writer::Work Insert(const op::Principal& who, const Passkey& key) {
  return [issuer = who.issuer, subject = who.subject, key](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto put, db.Use("INSERT INTO passkey (id, issuer, subject, sign_count, doc) "
                                   "VALUES (?1, ?2, ?3, ?4, ?5)"));
    put.Bind(key.id).Bind(issuer).Bind(subject).Bind(int64_t{key.sign_count}).Bind(Write(key));
    return put.Run();
  };
}

/// The row stays, so that the credential cannot come back and its owner stays bound.
state::Writer::Work MarkRemoved(const op::Principal& owner, const std::string& id, Nanos at) {
  return [issuer = owner.issuer, subject = owner.subject, id, at](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto put, db.Use("UPDATE passkey SET removed = ?4 WHERE id = ?1 AND issuer = ?2 "
                                   "AND subject = ?3 AND removed = 0"));
    SALLYPORT_CHECK(put.Bind(id).Bind(issuer).Bind(subject).Bind(int64_t{at}).Run());
    if (db.changes() != 1) return Fail(Errc::not_found, "there is no such passkey");
    return {};
  };
}

state::Writer::Work MarkUsed(const std::string& id, uint32_t counter, Nanos at) {
  return [id, counter, at](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto put, db.Use("UPDATE passkey SET sign_count = max(sign_count, ?2), used = ?3 "
                                   "WHERE id = ?1"));
    return put.Bind(id).Bind(int64_t{counter}).Bind(int64_t{at}).Run();
  };
}

}  // namespace

std::string UserHandle(const op::Principal& who) {
  const std::string text = who.issuer + '\n' + who.subject;
  uint8_t hash[SHA256_DIGEST_LENGTH];
  SHA256(AsBytes(text).data(), text.size(), hash);
  return Base64UrlEncode(hash);
}

Result<> Passkeys::Migrate(state::Database& db) { return db.Migrate("passkey", kSteps); }

Passkeys::Passkeys(state::Writer& state, Recorder recorder, std::string_view public_url,
                   std::function<op::Payload(std::string_view)> mask, const Clock& clock)
    : state_(state),
      recorder_(std::move(recorder)),
      mask_(std::move(mask)),
      party_(RelyingPartyOf(public_url)),
      clock_(clock),
      usable_(Load()) {}

Result<> Passkeys::Load() {
  std::map<Person, std::vector<Passkey>> keys;
  std::set<Person> bound;
  SALLYPORT_CHECK(state_.CommitBlocking([&keys, &bound](state::Database& db) -> Result<> {
    keys.clear();
    SALLYPORT_TRY(auto query, db.Use("SELECT id, issuer, subject, sign_count, doc, used, removed "
                                     "FROM passkey"));
    try {
      for (;;) {
        SALLYPORT_TRY(const bool row, query.Step());
        if (!row) return {};
        Person person{query.Text(1), query.Text(2)};
        bound.insert(person);
        if (query.Integer(6) != 0) continue;
        const json doc = json::parse(query.Text(4));
        Passkey key;
        key.id = query.Text(0);
        key.sign_count = static_cast<uint32_t>(query.Integer(3));
        key.algorithm = PasskeyAlgorithm(doc.at("algorithm").get<int32_t>());
        key.public_key = doc.at("public_key"), key.name = doc.at("name");
        key.created = doc.at("created"), key.entry = doc.at("entry");
        key.used = query.Integer(5);
        keys[std::move(person)].push_back(std::move(key));
      }
    } catch (const json::exception&) {
      return Fail(Errc::state_unavailable, "state: a passkey cannot be read");
    }
  }));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  bound_ = std::move(bound);
  return {};
}

std::vector<Passkey> Passkeys::Of(const op::Principal& who) const {
  const std::lock_guard lock(mutex_);
  const auto at = keys_.find({who.issuer, who.subject});
  return at == keys_.end() ? std::vector<Passkey>{} : at->second;
}

bool Passkeys::Needs(const op::Principal& who) const {
  const std::lock_guard lock(mutex_);
  return bound_.contains({who.issuer, who.subject});
}

std::string Passkeys::Challenge(const op::Principal& who) {
  Pending pending{.challenge = NewHandle(32), .until = clock_.WallNow() + kChallengeTime};
  const std::string text = pending.challenge;
  const std::lock_guard lock(mutex_);
  if (pending_.size() >= kMostChallenges) {
    std::erase_if(pending_,
                  [now = clock_.WallNow()](const auto& p) { return p.second.until <= now; });
    if (pending_.size() >= kMostChallenges) pending_.clear();
  }
  pending_[{who.issuer, who.subject}] = std::move(pending);
  return text;
}

Result<> Passkeys::TakeChallenge(const Person& person, std::string& challenge) {
  const std::lock_guard lock(mutex_);
  const auto at = pending_.find(person);
  if (at == pending_.end() || at->second.until <= clock_.WallNow())
    return Fail(Errc::passkey_invalid, "the registration took too long, or was used already");
  challenge = at->second.challenge;
  pending_.erase(at);
  const auto keys = keys_.find(person);
  if (keys != keys_.end() && keys->second.size() >= kPerPerson)
    return Fail(Errc::limit_exceeded, "you have ten passkeys already");
  return {};
}

Task<Passkey> Passkeys::Register(op::Principal who, std::string name, Registration registration) {
  SALLYPORT_CO_CHECK(usable_);
  SALLYPORT_CO_CHECK(party_);
  const Person person{who.issuer, who.subject};
  std::string challenge;
  SALLYPORT_CO_CHECK(TakeChallenge(person, challenge));
  SALLYPORT_CO_TRY(Passkey key, VerifyRegistration(registration, *party_, challenge));
  key.name = std::move(name);
  key.created = clock_.WallNow();

  op::ApprovalEvidence about;
  about.by = &who;
  about.assertion = KeyJson(key, *party_);
  op::Evidence e;
  e.type = op::EventType::passkey_registered;
  e.approval = &about;
  SALLYPORT_CO_TRY(key.entry, co_await recorder_.strict(e));
  // A credential id that is known already, whoever's, is refused by the table's primary key.
  if (const auto stored = co_await state_.Commit(Insert(who, key)); !stored) {
    e.ok = false;
    e.reason = stored.error().code;
    (void)recorder_.now(e);
    co_return std::unexpected(stored.error());
  }
  const std::lock_guard lock(mutex_);
  keys_[person].push_back(key);
  bound_.insert(person);
  co_return key;
}

Result<Passkey> Passkeys::TakeOut(const Person& person, std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (const auto keys = keys_.find(person); keys != keys_.end()) {
    const auto key = std::ranges::find(keys->second, id, &Passkey::id);
    if (key != keys->second.end()) {
      Passkey out = std::move(*key);
      keys->second.erase(key);
      return out;
    }
  }
  return Fail(Errc::not_found, "there is no such passkey");
}

Task<> Passkeys::Remove(op::Principal by, op::Principal owner, std::string id, std::string why) {
  SALLYPORT_CO_CHECK(usable_);
  if (why.size() > kLongestWhy)
    co_return Fail(Errc::request_too_large, "the reason is longer than 2000 bytes");
  const Person person{owner.issuer, owner.subject};
  op::ApprovalEvidence about;
  about.by = &by;
  if (!why.empty()) about.reason = mask_(why).text;
  op::AccessEvidence whose;
  whose.whom = &owner;
  op::Evidence e;
  e.type = op::EventType::passkey_removed;
  e.approval = &about;
  e.access = &whose;
  const auto refuse = [&](const Error& error) {
    e.ok = false;
    e.reason = error.code;
    (void)recorder_.now(e);
    return std::unexpected(error);
  };
  // It confirms nothing from here on: no vote with it stands in the log behind its removal.
  auto key = TakeOut(person, id);
  if (!key) co_return refuse(key.error());
  about.assertion = json{{"credential", id}, {"registered", key->entry}}.dump();
  const auto recorded = co_await recorder_.strict(e);
  const Result<> stored = recorded
                              ? co_await state_.Commit(MarkRemoved(owner, id, clock_.WallNow()))
                              : std::unexpected(recorded.error());
  const std::lock_guard lock(mutex_);
  if (!stored) {
    keys_[person].push_back(std::move(*key));
    if (recorded) co_return refuse(stored.error());
    co_return std::unexpected(stored.error());
  }
  pending_.erase(person);
  co_return Result<>{};
}

Task<std::string> Passkeys::Confirm(op::Principal who, std::string digest, bool approve,
                                    Assertion assertion) {
  SALLYPORT_CO_CHECK(usable_);
  SALLYPORT_CO_CHECK(party_);
  std::string proof, id;
  uint32_t counter = 0;
  const Nanos now = clock_.WallNow();
  {
    const std::lock_guard lock(mutex_);
    const auto keys = keys_.find({who.issuer, who.subject});
    std::vector<Passkey> none;
    std::vector<Passkey>& all = keys == keys_.end() ? none : keys->second;
    const auto key = std::ranges::find(all, assertion.credential, &Passkey::id);
    if (key == all.end())
      co_return Fail(Errc::passkey_invalid, "the credential is none of this person's");
    SALLYPORT_CO_TRY(counter,
                     VerifyAssertion(assertion, *key, *party_, VoteChallenge(digest, approve)));
    key->sign_count = counter;
    key->used = now;
    id = key->id;
    proof = ProofJson(assertion, *key, *party_);
  }
  // A counter has to be durable before the vote counts; when it was used last has not.
  if (counter == 0) {
    (void)state_.Enqueue(MarkUsed(id, counter, now));
  } else {
    SALLYPORT_CO_CHECK(co_await state_.Commit(MarkUsed(id, counter, now)));
  }
  co_return proof;
}

}  // namespace sallyport::approval
