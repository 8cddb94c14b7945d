#include "oauth/store.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"

namespace sallyport::oauth {
namespace {

constexpr std::array kSteps{
    "CREATE TABLE oauth_refresh (session TEXT PRIMARY KEY, client TEXT NOT NULL,"
    " handle BLOB NOT NULL, current BLOB NOT NULL, before BLOB, forgiven INTEGER NOT NULL, "
    "rotated_at INTEGER NOT NULL,"
    " until INTEGER NOT NULL) STRICT;"
    "CREATE TABLE oauth_consent (digest BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT;"};

Result<access::TokenDigest> DigestOf(std::string_view bytes) {
  access::TokenDigest digest{};
  if (bytes.size() != digest.size())
    return Fail(Errc::state_unavailable, "state: a grant cannot be read");
  std::ranges::copy(AsBytes(bytes), digest.begin());
  return digest;
}

Result<> LoadFamilies(state::Database& db, Store::Loaded& loaded) {
  SALLYPORT_TRY(auto s,
                db.Use("SELECT session, client, handle, current, before, forgiven, rotated_at,"
                       " until FROM oauth_refresh"));
  for (;;) {
    SALLYPORT_TRY(const bool more, s.Step());
    if (!more) return {};
    Family family{.session = std::string(s.Text(0)), .client = std::string(s.Text(1))};
    SALLYPORT_TRY(family.handle, DigestOf(s.Text(2)));
    SALLYPORT_TRY(family.current, DigestOf(s.Text(3)));
    family.has_before = !s.IsNull(4);
    if (family.has_before) {
      SALLYPORT_TRY(family.before, DigestOf(s.Text(4)));
    }
    family.forgiven = s.Integer(5) != 0;
    family.rotated_at = s.Integer(6);
    family.until = s.Integer(7);
    loaded.families.push_back(std::move(family));
  }
}

Result<> LoadConsents(state::Database& db, Store::Loaded& loaded) {
  SALLYPORT_TRY(auto s, db.Use("SELECT digest, until FROM oauth_consent"));
  for (;;) {
    SALLYPORT_TRY(const bool more, s.Step());
    if (!more) return {};
    SALLYPORT_TRY(const access::TokenDigest digest, DigestOf(s.Text(0)));
    loaded.consents.emplace_back(digest, s.Integer(1));
  }
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(state::Writer& writer) : writer_(writer) {}

  Result<Loaded> Load() override {
    const auto loaded = std::make_shared<Loaded>();
    SALLYPORT_CHECK(writer_.CommitBlocking([loaded](state::Database& db) -> Result<> {
      *loaded = {};
      SALLYPORT_CHECK(LoadFamilies(db, *loaded));
      return LoadConsents(db, *loaded);
    }));
    return std::move(*loaded);
  }
  Task<> Put(Family family) override {
    return writer_.Commit([family = std::move(family)](state::Database& db) -> Result<> {
      SALLYPORT_TRY(auto s, db.Use("INSERT OR REPLACE INTO oauth_refresh VALUES"
                                   " (?, ?, ?, ?, ?, ?, ?, ?)"));
      s.Bind(family.session).Bind(family.client).BindBytes(AsText(family.handle));
      s.BindBytes(AsText(family.current));
      family.has_before ? s.BindBytes(AsText(family.before)) : s.BindNull();
      s.Bind(int64_t(family.forgiven)).Bind(family.rotated_at).Bind(family.until);
      return s.Run();
    });
  }
  Task<> Put(access::TokenDigest consent, Nanos until) override {
    return writer_.Commit([consent, until](state::Database& db) -> Result<> {
      SALLYPORT_TRY(auto s, db.Use("INSERT OR REPLACE INTO oauth_consent VALUES (?, ?)"));
      return s.BindBytes(AsText(consent)).Bind(until).Run();
    });
  }
  void Forget(std::vector<std::string> sessions, Nanos before) override {
    (void)writer_.Enqueue(
        [sessions = std::move(sessions), before](state::Database& db) -> Result<> {
          for (const std::string& session : sessions) {
            SALLYPORT_TRY(auto s, db.Use("DELETE FROM oauth_refresh WHERE session = ?"));
            SALLYPORT_CHECK(s.Bind(session).Run());
          }
          SALLYPORT_TRY(auto s, db.Use("DELETE FROM oauth_consent WHERE until < ?"));
          return s.Bind(before).Run();
        });
  }

 private:
  state::Writer& writer_;
};

}  // namespace

access::TokenDigest Consent::Digest() const {
  std::string text;
  for (const std::string* field : {&issuer, &subject, &client, &redirect, &resource, &scope})
    text += std::to_string(field->size()) + ':' + *field;
  return access::DigestToken(text);
}

Result<> PrepareState(state::Database& db) { return db.Migrate("oauth", kSteps); }

std::shared_ptr<Store> MakeSqliteStore(state::Writer& writer) {
  return std::make_shared<SqliteStore>(writer);
}

}  // namespace sallyport::oauth
