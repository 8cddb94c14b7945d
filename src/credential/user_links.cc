#include "credential/user_links.h"

#include <algorithm>
#include <array>
#include <utility>

#include "json/document.h"

namespace sallyport::credential {
namespace {

using Auth = UserOAuth::ClientAuth;

constexpr std::array kSteps{
    "CREATE TABLE upstream_link (connection TEXT NOT NULL, issuer TEXT NOT NULL,"
    " subject TEXT NOT NULL, id TEXT NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (connection, issuer, subject)) STRICT;"
    "CREATE TABLE upstream_client (connection TEXT NOT NULL, issuer TEXT NOT NULL,"
    " redirect TEXT NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (connection, issuer, redirect)) STRICT;"};

std::string Place(std::string_view kind, std::initializer_list<std::string_view> parts) {
  std::string out(kind);
  for (const std::string_view part : parts)
    out.append("\n").append(std::to_string(part.size())).append(":").append(part);
  return out;
}

std::string_view NameOf(Auth auth) {
  switch (auth) {
    case Auth::basic:
      return "basic";
    case Auth::post:
      return "post";
    case Auth::none:
    case Auth::unsaid:
      break;
  }
  return "none";
}

Auth AuthOf(std::string_view name) {
  return name == "basic" ? Auth::basic : name == "post" ? Auth::post : Auth::none;
}

class Writing {
 public:
  Writing& Text(std::string_view name, std::string_view value) {
    Begin(name);
    json::AppendString(out_, value);
    return *this;
  }
  Writing& Number(std::string_view name, int64_t value) {
    Begin(name);
    out_ += std::to_string(value);
    return *this;
  }
  std::string Done() { return std::move(out_) + '}'; }

 private:
  void Begin(std::string_view name) {
    out_ += out_.size() > 1 ? ",\"" : "\"";
    out_.append(name).append("\":");
  }
  std::string out_ = "{";
};

std::string TextOf(const UserLink& link) {
  return Writing()
      .Text("access", link.tokens.access.Reveal())
      .Text("refresh", link.tokens.refresh.Reveal())
      .Number("seconds", link.tokens.seconds)
      .Number("obtained_at", link.obtained_at)
      .Text("scope", link.scope)
      .Text("resource", link.resource)
      .Text("bound", link.bound)
      .Text("issuer", link.server.issuer)
      .Text("token_url", link.server.token_url)
      .Text("revocation_url", link.server.revocation_url)
      .Text("client_id", link.client.id)
      .Text("client_secret", link.client.secret.Reveal())
      .Text("client_auth", NameOf(link.client.auth))
      .Number("linked_at", link.linked_at)
      .Done();
}

Result<UserLink> ReadLink(std::string_view text, std::string id) {
  const auto doc = json::Document::Parse(text);
  if (!doc) return Fail(Errc::state_unavailable, "state: a link cannot be read");
  const auto get = [&](const char* name) {
    return std::string(doc->root()[name].string().value_or(""));
  };
  const auto number = [&](const char* name) { return doc->root()[name].integer().value_or(0); };
  UserLink link;
  link.id = std::move(id);
  link.tokens = {.access = Secret(get("access")),
                 .refresh = Secret(get("refresh")),
                 .seconds = number("seconds"),
                 .scope = {}};
  link.obtained_at = number("obtained_at");
  link.scope = get("scope");
  link.resource = get("resource");
  link.bound = get("bound");
  link.server.issuer = get("issuer");
  link.server.token_url = get("token_url");
  link.server.revocation_url = get("revocation_url");
  link.client = {.id = get("client_id"),
                 .secret = Secret(get("client_secret")),
                 .auth = AuthOf(get("client_auth"))};
  link.linked_at = number("linked_at");
  return link;
}

/// Sealed, and the text wiped.
std::string SealWiped(const state::Sealer& sealer, const std::string& place, std::string text) {
  std::string sealed = sealer.Seal(place, text);
  explicit_bzero(text.data(), text.size());
  return sealed;
}

}  // namespace

Result<> UserLinks::Migrate(state::Database& db) { return db.Migrate("upstream_links", kSteps); }

Result<> UserLinks::KeepOnly(const std::vector<std::string>& connections, state::Writer& state) {
  return state.CommitBlocking([connections](state::Database& db) -> Result<> {
    std::vector<std::string> gone;
    for (const char* table : {"SELECT DISTINCT connection FROM upstream_link",
                              "SELECT DISTINCT connection FROM upstream_client"}) {
      SALLYPORT_TRY(auto s, db.Use(table));
      for (;;) {
        SALLYPORT_TRY(const bool more, s.Step());
        if (!more) break;
        if (std::ranges::find(connections, s.Text(0)) == connections.end())
          gone.emplace_back(s.Text(0));
      }
    }
    for (const std::string& connection : gone) {
      for (const char* table : {"DELETE FROM upstream_link WHERE connection = ?",
                                "DELETE FROM upstream_client WHERE connection = ?"}) {
        SALLYPORT_TRY(auto s, db.Use(table));
        SALLYPORT_CHECK(s.Bind(connection).Run());
      }
    }
    return {};
  });
}

std::string UserLinks::PlaceOf(const Person& person) const {
  return Place("upstream-link", {connection_, person.issuer, person.subject});
}

Result<std::shared_ptr<UserLinks>> UserLinks::Load(std::string connection, state::Writer& state,
                                                   state::Sealer sealer) {
  std::shared_ptr<UserLinks> out(new UserLinks(std::move(connection), state, std::move(sealer)));
  const auto found = std::make_shared<std::map<Person, Kept>>();
  SALLYPORT_CHECK(
      state.CommitBlocking([found, c = out->connection_](state::Database& db) -> Result<> {
        found->clear();
        SALLYPORT_TRY(
            auto s,
            db.Use("SELECT issuer, subject, id, sealed FROM upstream_link WHERE connection = ?"));
        s.Bind(c);
        for (;;) {
          SALLYPORT_TRY(const bool more, s.Step());
          if (!more) return {};
          found->insert_or_assign(Person{std::string(s.Text(0)), std::string(s.Text(1))},
                                  Kept{std::string(s.Text(2)), std::string(s.Text(3))});
        }
      }));
  out->links_ = std::move(*found);
  return out;
}

bool UserLinks::Has(const Person& person) const {
  const std::lock_guard lock(mutex_);
  return links_.contains(person);
}

std::string UserLinks::IdOf(const Person& person) const {
  const std::lock_guard lock(mutex_);
  const auto at = links_.find(person);
  return at == links_.end() ? std::string() : at->second.id;
}

std::vector<UserLinks::Person> UserLinks::People() const {
  const std::lock_guard lock(mutex_);
  std::vector<Person> out;
  for (const auto& [person, kept] : links_) out.push_back(person);
  return out;
}

Result<UserLink> UserLinks::Open(const Person& person) const {
  Kept kept;
  {
    const std::lock_guard lock(mutex_);
    const auto at = links_.find(person);
    if (at == links_.end()) return Fail(Errc::not_found, "no account is linked");
    kept = at->second;
  }
  SALLYPORT_TRY(std::string text, sealer_.Open(PlaceOf(person), kept.sealed));
  auto link = ReadLink(text, std::move(kept.id));
  explicit_bzero(text.data(), text.size());
  return link;
}

Result<> UserLinks::Put(const Person& person, const UserLink& link) {
  Kept kept{link.id, SealWiped(sealer_, PlaceOf(person), TextOf(link))};
  SALLYPORT_CHECK(state_.CommitBlocking([c = connection_, person,
                                         kept](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("INSERT OR REPLACE INTO upstream_link VALUES (?, ?, ?, ?, ?)"));
    s.Bind(c).Bind(person.issuer).Bind(person.subject).Bind(kept.id).BindBytes(kept.sealed);
    return s.Run();
  }));
  const std::lock_guard lock(mutex_);
  links_.insert_or_assign(person, std::move(kept));
  return {};
}

Result<bool> UserLinks::Renew(const Person& person, const UserLink& link) {
  const Kept kept{link.id, SealWiped(sealer_, PlaceOf(person), TextOf(link))};
  const auto write = [c = connection_, person, kept](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("UPDATE upstream_link SET sealed = ? WHERE connection = ? AND"
                                 " issuer = ? AND subject = ? AND id = ?"));
    s.BindBytes(kept.sealed).Bind(c).Bind(person.issuer).Bind(person.subject).Bind(kept.id);
    return s.Run();
  };
  if (!state_.CommitBlocking(write)) (void)state_.Enqueue(write);
  const std::lock_guard lock(mutex_);
  const auto at = links_.find(person);
  if (at == links_.end() || at->second.id != link.id) return false;
  at->second.sealed = kept.sealed;
  return true;
}

bool UserLinks::Drop(const Person& person, const std::string& id) {
  std::string gone;
  {
    const std::lock_guard lock(mutex_);
    const auto at = links_.find(person);
    if (at == links_.end() || (!id.empty() && at->second.id != id)) return false;
    gone = at->second.id;
    links_.erase(at);
  }
  (void)state_.Enqueue([c = connection_, person, gone](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("DELETE FROM upstream_link WHERE connection = ? AND issuer = ?"
                                 " AND subject = ? AND id = ?"));
    s.Bind(c).Bind(person.issuer).Bind(person.subject).Bind(gone);
    return s.Run();
  });
  return true;
}

Result<std::optional<UserClient>> UserLinks::Registered(const std::string& issuer,
                                                        const std::string& redirect) const {
  const auto sealed = std::make_shared<std::string>();
  SALLYPORT_CHECK(state_.CommitBlocking(
      [sealed, c = connection_, issuer, redirect](state::Database& db) -> Result<> {
        sealed->clear();
        SALLYPORT_TRY(auto s, db.Use("SELECT sealed FROM upstream_client WHERE connection = ? AND"
                                     " issuer = ? AND redirect = ?"));
        SALLYPORT_TRY(const bool there, s.Bind(c).Bind(issuer).Bind(redirect).Step());
        if (there) sealed->assign(s.Text(0));
        return {};
      }));
  if (sealed->empty()) return std::optional<UserClient>();
  SALLYPORT_TRY(std::string text,
                sealer_.Open(Place("upstream-client", {connection_, issuer, redirect}), *sealed));
  const auto doc = json::Document::Parse(text);
  if (!doc) return Fail(Errc::state_unavailable, "state: a registration cannot be read");
  UserClient client{.id = std::string(doc->root()["id"].string().value_or("")),
                    .secret = Secret(std::string(doc->root()["secret"].string().value_or(""))),
                    .auth = AuthOf(doc->root()["auth"].string().value_or(""))};
  explicit_bzero(text.data(), text.size());
  return std::optional<UserClient>(std::move(client));
}

Result<> UserLinks::Register(const std::string& issuer, const std::string& redirect,
                             const UserClient& client) {
  std::string text = Writing()
                         .Text("id", client.id)
                         .Text("secret", client.secret.Reveal())
                         .Text("auth", NameOf(client.auth))
                         .Done();
  std::string sealed = SealWiped(sealer_, Place("upstream-client", {connection_, issuer, redirect}),
                                 std::move(text));
  return state_.CommitBlocking(
      [c = connection_, issuer, redirect, sealed](state::Database& db) -> Result<> {
        SALLYPORT_TRY(auto s, db.Use("INSERT OR REPLACE INTO upstream_client VALUES (?, ?, ?, ?)"));
        return s.Bind(c).Bind(issuer).Bind(redirect).BindBytes(sealed).Run();
      });
}

}  // namespace sallyport::credential
