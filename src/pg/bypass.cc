#include "pg/bypass.h"

#include <algorithm>
#include <charconv>

#include "net/event.h"

namespace sallyport::pg {
namespace {

constexpr std::chrono::seconds kLimit{10};
constexpr std::chrono::milliseconds kPause{1'000};

constexpr const char* kMaySee =
    "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')";
// To the microsecond, so that a process id that is used again is another session.
constexpr const char* kSessions =
    "SELECT pid, coalesce(usename, ''), coalesce(pg_catalog.host(client_addr), ''), "
    "coalesce(client_port, 0), coalesce(application_name, ''), coalesce(backend_type, ''), "
    "pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
    "pid = pg_catalog.pg_backend_pid() FROM pg_catalog.pg_stat_activity "
    "WHERE backend_type = 'walsender' OR (datname = pg_catalog.current_database() AND "
    "coalesce(backend_type, 'client backend') = 'client backend')";

uint32_t Number(const std::optional<std::string>& text) {
  uint32_t n = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), n);
  return n;
}

bool Expected(const std::vector<IpNetwork>& expected, const std::string& address) {
  return std::ranges::any_of(expected, [&](const IpNetwork& n) { return n.Contains(address); });
}

struct Seen {
  std::vector<Foreign> others;
  bool exact = false;  // our own session has the port there that it has here
};

Task<Seen> LookOnce(Server& server, const OwnBackends& own,
                    const std::vector<IpNetwork>& expected) {
  SALLYPORT_CO_TRY(const std::vector<Row> rows, co_await Query(server, kSessions, kLimit));
  Seen seen;
  std::vector<Foreign> all;
  for (const Row& row : rows) {
    if (row.size() != 8) co_return Fail(Errc::upstream_protocol, "pg_stat_activity");
    // -1 is a Unix socket.
    const uint32_t port = Number(row[3]);
    Foreign one{.pid = Number(row[0]),
                .port = port < 65536 ? uint16_t(port) : uint16_t(0),
                .user = row[1].value_or(""),
                .address = row[2].value_or(""),
                .application = row[4].value_or(""),
                .kind = row[5].value_or(""),
                .since = row[6].value_or("")};
    if (row[7].value_or("") == "t") {
      seen.exact = one.port != 0 && one.port == server.local_port;
      continue;
    }
    all.push_back(std::move(one));
  }
  for (Foreign& one : all) {
    if (!own.Knows(one.pid, one.port, seen.exact) && !Expected(expected, one.address))
      seen.others.push_back(std::move(one));
  }
  co_return seen;
}

}  // namespace

Task<std::vector<Foreign>> LookForOthers(Server& server, const OwnBackends& own,
                                         const std::vector<IpNetwork>& expected) {
  SALLYPORT_CO_TRY(const std::vector<Row> may, co_await Query(server, kMaySee, kLimit));
  if (may.size() != 1 || may[0].size() != 1 || may[0][0].value_or("") != "t")
    co_return Fail(Errc::upstream_login_failed,
                   "the login may not see whose the sessions are: GRANT pg_monitor to it");
  const bool beginning = own.Beginning();
  SALLYPORT_CO_TRY(Seen seen, co_await LookOnce(server, own, expected));
  if (seen.exact || seen.others.empty() || !(beginning || own.Beginning()))
    co_return std::move(seen.others);
  SALLYPORT_CO_CHECK(co_await net::Sleep(kPause));
  // Only what both saw: by now it has its name, or is none of ours.
  SALLYPORT_CO_TRY(const Seen again, co_await LookOnce(server, own, expected));
  std::erase_if(seen.others, [&](const Foreign& one) {
    return std::ranges::none_of(again.others,
                                [&](const Foreign& other) { return other.id() == one.id(); });
  });
  co_return std::move(seen.others);
}

}  // namespace sallyport::pg
