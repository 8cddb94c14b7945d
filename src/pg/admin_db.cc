#include "pg/admin_db.h"

#include <algorithm>
#include <map>
#include <optional>

#include "pg/frame.h"
#include "pg/to_wire.h"
#include "policy/rules.h"

namespace sallyport::pg {
namespace {

constexpr size_t kMostBytes = 64 << 10;

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// "SHOW sessions ;" → "sessions"; nullopt: something else.
std::optional<std::string> ShowWhat(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) || c == ';') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  if (words.back().empty()) words.pop_back();
  if (words.empty()) return std::string();
  if (words.size() == 2 && words[0] == "show") return words[1];
  return std::nullopt;
}

class Admin {
 public:
  Admin(Front& front, Arrival arrival) : front_(front), arrival_(std::move(arrival)) {}

  boost::asio::awaitable<void> Run();

 private:
  bool Handle(char type, std::string_view body);
  void Query(std::string_view text, bool describe);
  void Fail(WireError error);
  void Describe(const Table& table);
  Result<Table> Show(std::string_view text) const;
  Table Sessions() const;
  Table PanColumns() const;
  void Ready() { MessageWriter(out_).Begin('Z').U8('I').End(); }

  Front& front_;
  Arrival arrival_;
  std::string out_;
  bool failed_ = false;  // until Sync
  std::map<std::string, std::string, std::less<>> statements_, portals_;
};

Table Admin::Sessions() const {
  const op::Principal& me = arrival_.who->principal;
  const bool all = front_.options.sees_all && front_.options.sees_all(me);
  Table table{.columns = {"id", "caller", "connection", "address", "state", "opened_at",
                          "statements", "rows", "bytes"},
              .rows = {}};
  for (const SessionInfo& s : front_.registry.List([&](const op::Session& session) {
         return all || (session.who.issuer == me.issuer && session.who.subject == me.subject);
       })) {
    table.rows.push_back({s.id, s.caller, s.connection, s.address, s.state, FormatUtc(s.opened_at),
                          std::to_string(s.statements), std::to_string(s.rows),
                          std::to_string(s.bytes)});
  }
  return table;
}

Table Admin::PanColumns() const {
  Table table{.columns = {"connection", "column", "values", "first_found", "last_found", "reported",
                          "classified"},
              .rows = {}};
  for (const auto& [name, place] : front_.places) {
    const PanMap& map = *place->config.pan_map;
    for (const PanMap::Entry& e : map.entries()) {
      table.rows.push_back({name, PanColumnName(e), std::to_string(e.values), FormatUtc(e.first),
                            FormatUtc(e.last), e.reported ? "t" : "f",
                            e.reported && map.classifies() ? "t" : "f"});
    }
  }
  return table;
}

Result<Table> Admin::Show(std::string_view text) const {
  const auto what = ShowWhat(text);
  if (!what) {
    return sallyport::Fail(
        Errc::method_unknown,
        "only SHOW sessions, connections, stats, pan_map, config and version here");
  }
  const op::Principal& me = arrival_.who->principal;
  const bool all = front_.options.sees_all && front_.options.sees_all(me);
  if (*what == "sessions") return Sessions();
  // Where card numbers are is for those who look after the gate.
  if (*what == "pan_map") return all ? PanColumns() : Table{PanColumns().columns, {}};
  if (*what == "version") return Table{{"version"}, {{"sallyport " + front_.options.version}}};
  if (*what == "connections") {
    Table table{{"name", "database", "sslmode", "classified_columns"}, {}};
    const auto rules = front_.options.gate.rules();
    static constexpr std::string_view kModes[] = {"disable", "require", "verify-ca", "verify-full"};
    for (const auto& [name, place] : front_.places) {
      const FrontendConnection& c = place->config;
      if (!all && !rules->Visible(me, name, c.labels, op::Verb::sql, c.address->database)) continue;
      table.rows.push_back({name, c.address->database,
                            std::string(kModes[static_cast<size_t>(c.address->sslmode)]),
                            std::to_string(c.classified.size())});
    }
    return table;
  }
  if (*what == "stats") {
    Table table{{"connection", "sessions", "cache_exact_hits", "cache_shape_hits", "cache_misses"},
                {}};
    for (const auto& [name, place] : front_.places) {
      if (!all) continue;
      sql::Analyzer::Stats sum;
      for (const auto& analyzer : place->analyzers) {
        const auto stats = analyzer->stats();
        sum.exact_hits += stats.exact_hits, sum.shape_hits += stats.shape_hits;
        sum.misses += stats.misses;
      }
      const auto sessions = front_.registry.List(
          [&place](const op::Session& s) { return s.connection == place->config.name; });
      table.rows.push_back({name, std::to_string(sessions.size()), std::to_string(sum.exact_hits),
                            std::to_string(sum.shape_hits), std::to_string(sum.misses)});
    }
    return table;
  }
  if (*what == "config") {
    const FrontendLimits& l = front_.settings()->limits;
    return Table{{"key", "value"},
                 {{"connections", std::to_string(l.connections)},
                  {"sessions_per_caller", std::to_string(l.sessions_per_caller)},
                  {"session_max_seconds", std::to_string(l.session_max.count() / 1000)},
                  {"session_idle_seconds", std::to_string(l.session_idle.count() / 1000)},
                  {"statement_bytes", std::to_string(l.statement_bytes)},
                  {"message_bytes", std::to_string(l.message_bytes)},
                  {"policy_version", front_.options.gate.rules()->version()}}};
  }
  if (what->empty()) return Table{};
  return sallyport::Fail(
      Errc::method_unknown,
      "only SHOW sessions, connections, stats, pan_map, config and version here");
}

void Admin::Fail(WireError error) {
  AppendError(out_, error);
  failed_ = true;
}

void Admin::Describe(const Table& table) {
  MessageWriter w(out_);
  w.Begin('T').U16(static_cast<uint16_t>(table.columns.size()));
  for (const std::string& name : table.columns)
    w.CString(name).U32(0).U16(0).U32(25).U16(0xffff).U32(0xffffffff).U16(0);
  w.End();
}

void Admin::Query(std::string_view text, bool describe) {
  const auto table = Show(text);
  if (!table) return Fail(ToWire(table.error()));
  MessageWriter w(out_);
  if (table->columns.empty()) {
    w.Begin('I').End();
    return;
  }
  if (describe) Describe(*table);
  for (const auto& row : table->rows) {
    w.Begin('D').U16(static_cast<uint16_t>(row.size()));
    for (const std::string& cell : row) w.U32(static_cast<uint32_t>(cell.size())).Bytes(cell);
    w.End();
  }
  w.Begin('C').CString("SHOW").End();
}

/// False: the connection is over.
bool Admin::Handle(char type, std::string_view body) {
  if (failed_ && type != 'S' && type != 'X') return true;
  BodyReader r(body);
  switch (type) {
    case 'Q':
      Query(r.CString(), true);
      failed_ = false;
      Ready();
      return true;
    case 'P': {
      const std::string name(r.CString());
      statements_[name] = r.CString();
      if (statements_.size() > 100) return false;
      MessageWriter(out_).Begin('1').End();
      return true;
    }
    case 'B': {
      const std::string portal(r.CString()), name(r.CString());
      const auto at = statements_.find(name);
      if (at == statements_.end() || portals_.size() > 100) {
        Fail({.code = "26000", .message = "prepared statement does not exist"});
        return true;
      }
      portals_[portal] = at->second;
      MessageWriter(out_).Begin('2').End();
      return true;
    }
    case 'D': {
      const bool statement = r.U8() == 'S';
      const auto& names = statement ? statements_ : portals_;
      const auto at = names.find(r.CString());
      if (at == names.end()) {
        Fail({.code = "34000", .message = "there is no such name"});
        return true;
      }
      if (statement) MessageWriter(out_).Begin('t').U16(0).End();
      const auto table = Show(at->second);
      if (!table || table->columns.empty())
        MessageWriter(out_).Begin('n').End();
      else
        Describe(*table);
      return true;
    }
    case 'E': {
      const auto at = portals_.find(r.CString());
      if (at == portals_.end())
        Fail({.code = "34000", .message = "portal does not exist"});
      else
        Query(at->second, false);
      return true;
    }
    case 'C': {
      auto& names = r.U8() == 'S' ? statements_ : portals_;
      names.erase(std::string(r.CString()));
      MessageWriter(out_).Begin('3').End();
      return true;
    }
    case 'S':
      failed_ = false;
      Ready();
      return true;
    case 'H':
      return true;
    default:
      return false;
  }
}

boost::asio::awaitable<void> Admin::Run() {
  net::Stream& stream = *arrival_.stream;
  MessageWriter(out_).Begin('R').U32(0).End();
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::string>>{
           {"server_version", "15.0 (sallyport)"},
           {"server_encoding", "UTF8"},
           {"client_encoding", "UTF8"},
           {"DateStyle", "ISO, MDY"},
           {"TimeZone", "UTC"},
           {"integer_datetimes", "on"},
           {"standard_conforming_strings", "on"}}) {
    MessageWriter(out_).Begin('S').CString(name).CString(value).End();
  }
  MessageWriter(out_).Begin('K').U32(0).U32(0).End();
  Ready();
  stream.SetRoom(kMostBytes);
  bool going = true;
  for (;;) {
    while (going) {
      const auto head = PeekHead(stream.data());
      if (!head) break;
      if (head->length < 4 || head->total() > kMostBytes) {
        going = false;
        break;
      }
      if (stream.data().size() < head->total()) break;
      going = Handle(head->type, stream.data().substr(5, head->body()));
      stream.Consume(head->total());
    }
    net::Pieces pieces(out_);
    if (!(co_await stream.Finish(pieces, std::chrono::seconds(30))) || !going) break;
    out_.clear();
    const auto idle = front_.settings()->limits.session_idle;
    const auto got = co_await stream.More(std::chrono::steady_clock::now() + idle, true);
    if (got != net::Stream::Got::data || front_.draining) break;
  }
  stream.Close();
}

}  // namespace

boost::asio::awaitable<void> ServeAdmin(Front& front, Arrival arrival) {
  Admin admin(front, std::move(arrival));
  co_await admin.Run();
}

}  // namespace sallyport::pg
