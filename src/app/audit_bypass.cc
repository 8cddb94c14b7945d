#include "app/audit_bypass.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/moment.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "base/network.h"
#include "ledger/entry.h"
#include "ledger/reader.h"
#include "ledger/render.h"
#include "pg/connection_log.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;
using pg::LoggedConnection;

constexpr const char* kCommand = "audit bypass";
constexpr size_t kMostLine = 1 << 20;

int Sorry(const Error& error) {
  std::fprintf(stderr, "sallyport audit bypass: %s (%s)\n", error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

/// What the gateway's log says of its own sessions at the server.
struct OwnSessions {
  std::multiset<std::pair<uint32_t, std::string>> backends;  // process id, port; each matches once
  uint64_t open = 0;  // of PostgreSQL, without an end: which backend they have is not told yet
};

/// "backend 4711, from port 50123" of a session.close.
bool ReadBackend(std::string_view detail, OwnSessions& sessions) {
  unsigned pid = 0, port = 0;
  if (std::sscanf(std::string(detail).c_str(), "backend %u, from port %u", &pid, &port) != 2)
    return false;
  sessions.backends.emplace(pid, port == 0 ? "" : std::to_string(port));
  return true;
}

Result<OwnSessions> ReadSessions(const std::string& data_dir, const std::string& connection) {
  SALLYPORT_TRY(ledger::LogReader reader, ledger::LogReader::Open(data_dir));
  OwnSessions sessions;
  std::set<uint64_t> open;
  SALLYPORT_CHECK(
      reader.ForEach(0, reader.size(), [&](uint64_t index, std::string_view bytes) -> Result<bool> {
        const bool opened = bytes.contains(R"("e":"auth.success")");
        if (!opened && !bytes.contains(R"("e":"session.close")")) return true;
        const auto entry = ledger::DecodeEntry(bytes);
        if (!entry) return true;  // a verifier's business
        const auto root = entry->document.root();
        if (entry->event == "auth.success" && root["fe"].string() == "postgres" &&
            (connection.empty() || root["c"].string() == connection))
          open.insert(index);
        if (entry->event == "session.close" && entry->has_session && open.erase(entry->session) > 0)
          (void)ReadBackend(root["detail"].string().value_or(""), sessions);
        return true;
      }));
  sessions.open = open.size();
  return sessions;
}

/// What else is no finding, by the configuration.
struct Expected {
  std::set<std::string> logins, databases;
  std::vector<IpNetwork> networks;

  bool Login(const std::string& user) const {
    return logins.contains(user) || user.starts_with("sallyport_");
  }
  bool From(const std::string& host) const {
    return std::ranges::any_of(networks, [&](const IpNetwork& n) { return n.Contains(host); });
  }
};

Result<Expected> ReadExpected(const config::Root& root, const std::string& connection) {
  Expected expected;
  bool found = connection.empty();
  for (const config::Connection& one : root.connections) {
    if (!one.postgres || (!connection.empty() && one.name != connection)) continue;
    found = true;
    expected.databases.insert(one.postgres->database);
    for (const std::string& user : {one.postgres->user, one.postgres->reconcile.user}) {
      if (!user.empty()) expected.logins.insert(user);
    }
    for (const std::string& text : one.postgres->reconcile.expected) {
      if (const auto network = IpNetwork::Parse(text)) expected.networks.push_back(*network);
    }
  }
  if (!found) return Fail(Errc::not_found, "there is no PostgreSQL connection " + connection);
  return expected;
}

/// One pass over the server's log.
struct Comparison {
  uint64_t lines = 0, connections = 0, matched = 0, expected = 0, own = 0, elsewhere = 0;
  std::vector<LoggedConnection> findings;
};

bool Inside(const LoggedConnection& one, Nanos from, Nanos to) {
  // A line without a time belongs to every period rather than to none.
  return !one.at || (*one.at >= from && (to == 0 || *one.at < to));
}

Result<Comparison> Compare(const std::string& file, OwnSessions sessions, const Expected& expected,
                           Nanos from, Nanos to) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Fail(Errc::io_failed, "cannot read " + file);
  Comparison made;
  pg::ConnectionLog log;
  std::vector<LoggedConnection> rest;
  std::set<std::string> hosts;  // from which sessions of the gateway came
  std::string line;
  while (std::getline(in, line)) {
    if (line.size() > kMostLine) line.resize(kMostLine);
    auto one = log.Take(line);
    if (!one || !Inside(*one, from, to)) continue;
    if (!one->replication && !expected.databases.empty() &&
        !expected.databases.contains(one->database)) {
      ++made.elsewhere;
      continue;
    }
    ++made.connections;
    if (const auto own = sessions.backends.find({one->pid, one->port});
        own != sessions.backends.end()) {
      sessions.backends.erase(own);
      hosts.insert(one->host);
      ++made.matched;
    } else {
      rest.push_back(std::move(*one));
    }
  }
  if (in.bad()) return Fail(Errc::io_failed, "cannot read " + file);
  made.lines = log.lines();
  for (LoggedConnection& one : rest) {
    if (expected.From(one.host)) {
      ++made.expected;
    } else if (!one.replication && expected.Login(one.user) && hosts.contains(one.host)) {
      ++made.own;
    } else {
      made.findings.push_back(std::move(one));
    }
  }
  return made;
}

void PrintJson(const Comparison& c, uint64_t open) {
  ordered_json findings = ordered_json::array();
  for (const LoggedConnection& f : c.findings) {
    findings.push_back({{"line", f.line},
                        {"backend", f.pid},
                        {"host", f.host},
                        {"port", f.port},
                        {"user", f.user},
                        {"database", f.database},
                        {"application", f.application},
                        {"replication", f.replication}});
  }
  const ordered_json all{{"lines", c.lines},       {"connections", c.connections},
                         {"matched", c.matched},   {"own_logins", c.own},
                         {"expected", c.expected}, {"other_databases", c.elsewhere},
                         {"open_sessions", open},  {"findings", std::move(findings)}};
  std::printf("%s\n", all.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

void PrintText(const Comparison& c, uint64_t open) {
  for (const LoggedConnection& f : c.findings) {
    const std::string what =
        "BYPASS line " + std::to_string(f.line) + ": " + (f.replication ? "replication by " : "") +
        f.user + (f.database.empty() ? "" : " at " + f.database) + " from " +
        (f.host.empty() ? "?" : f.host) + (f.port.empty() ? "" : " port " + f.port) + ", backend " +
        std::to_string(f.pid) + (f.application.empty() ? "" : ", " + f.application);
    std::printf("%s\n", ledger::Printable(what).c_str());
  }
  std::printf(
      "%zu of %llu connections came another way; %llu are sessions of the gateway, %llu its own "
      "logins from where these came, %llu expected\n",
      c.findings.size(), static_cast<unsigned long long>(c.connections),
      static_cast<unsigned long long>(c.matched), static_cast<unsigned long long>(c.own),
      static_cast<unsigned long long>(c.expected));
  if (open > 0 && !c.findings.empty()) {
    std::printf(
        "%llu sessions of the gateway have no end in its log yet: their connections are among "
        "those "
        "that came another way\n",
        static_cast<unsigned long long>(open));
  }
}

}  // namespace

int RunAuditBypass(const AuditBypassOptions& options) {
  const auto from = MomentOption(kCommand, options.from);
  const auto to = MomentOption(kCommand, options.to);
  if (!from || !to) return kUsage;
  Expected expected;
  if (!options.config.empty()) {
    int exit_code = kOk;
    const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
    if (!root) return exit_code;
    auto read = ReadExpected(*root, options.connection);
    if (!read) return Sorry(read.error());
    expected = std::move(*read);
  }
  const std::string dir = DataDirOrDefault(options.data_dir);
  auto sessions = ReadSessions(dir, options.connection);
  if (!sessions) return Sorry(sessions.error());
  const uint64_t open = sessions->open;
  if (const auto noted = NoteReading(dir, kCommand, options.connection); !noted)
    return Sorry(noted.error());
  const auto compared = Compare(options.connection_log, std::move(*sessions), expected, *from, *to);
  if (!compared) return Sorry(compared.error());
  if (compared->connections + compared->elsewhere == 0) {
    return Sorry(Error(Errc::not_found,
                       options.connection_log +
                           " tells of no connection: log_connections has to be on, the messages in "
                           "English, and the process id in brackets in log_line_prefix"));
  }
  options.json ? PrintJson(*compared, open) : PrintText(*compared, open);
  return compared->findings.empty() ? kOk : kNegative;
}

}  // namespace sallyport::app
