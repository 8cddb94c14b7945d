#include "access/kept_grants.h"

#include <algorithm>
#include <array>
#include <set>

namespace sallyport::access {
namespace {

constexpr std::array kSteps{
    "CREATE TABLE kept_grant (issuer TEXT NOT NULL, subject TEXT NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (issuer, subject)) STRICT;"};

/// What it was sealed for cannot be moved to another person's row.
std::string PlaceOf(const KeptGrants::Person& person) {
  return "kept-grant\n" + std::to_string(person.issuer.size()) + "\n" + person.issuer + "\n" +
         person.subject;
}

}  // namespace

Result<> KeptGrants::Migrate(state::Database& db) { return db.Migrate("kept_grants", kSteps); }

Task<> KeptGrants::Keep(Person person, Secret refresh_token) {
  std::string sealed = sealer_.Seal(PlaceOf(person), refresh_token.Reveal());
  co_return co_await state_.Commit(
      [person = std::move(person), sealed = std::move(sealed)](state::Database& db) -> Result<> {
        SALLYPORT_TRY(auto s, db.Use("INSERT OR REPLACE INTO kept_grant VALUES (?, ?, ?)"));
        return s.Bind(person.issuer).Bind(person.subject).BindBytes(sealed).Run();
      });
}

Task<Secret> KeptGrants::Open(Person person) {
  const auto sealed = std::make_shared<std::string>();
  SALLYPORT_CO_CHECK(co_await state_.Commit([person, sealed](state::Database& db) -> Result<> {
    sealed->clear();
    SALLYPORT_TRY(auto s, db.Use("SELECT sealed FROM kept_grant WHERE issuer = ? AND subject = ?"));
    SALLYPORT_TRY(const bool there, s.Bind(person.issuer).Bind(person.subject).Step());
    if (there) sealed->assign(s.Text(0));
    return {};
  }));
  if (sealed->empty()) co_return Fail(Errc::not_found, "the provider gave no refresh token");
  SALLYPORT_CO_TRY(std::string text, sealer_.Open(PlaceOf(person), *sealed));
  co_return Secret(std::move(text));
}

void KeptGrants::Forget(Person person) {
  (void)state_.Enqueue([person = std::move(person)](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("DELETE FROM kept_grant WHERE issuer = ? AND subject = ?"));
    return s.Bind(person.issuer).Bind(person.subject).Run();
  });
}

void KeptGrants::ForgetAllBut(std::vector<Person> present) {
  std::ranges::sort(present);
  (void)state_.Enqueue([present = std::move(present)](state::Database& db) -> Result<> {
    std::vector<Person> gone;
    {
      SALLYPORT_TRY(auto s, db.Use("SELECT issuer, subject FROM kept_grant"));
      for (;;) {
        SALLYPORT_TRY(const bool more, s.Step());
        if (!more) break;
        Person person{std::string(s.Text(0)), std::string(s.Text(1))};
        if (!std::ranges::binary_search(present, person)) gone.push_back(std::move(person));
      }
    }
    for (const Person& person : gone) {
      SALLYPORT_TRY(auto s, db.Use("DELETE FROM kept_grant WHERE issuer = ? AND subject = ?"));
      SALLYPORT_CHECK(s.Bind(person.issuer).Bind(person.subject).Run());
    }
    return {};
  });
}

}  // namespace sallyport::access
