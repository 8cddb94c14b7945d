#include "pg/connection_log.h"

#include <charconv>
#include <cstdio>

#include "json/document.h"

namespace sallyport::pg {
namespace {

constexpr std::string_view kReceived = "connection received: host=";
constexpr std::string_view kAuthorized = "connection authorized: user=";
constexpr size_t kMostReceived = 100'000;  // that are never let in

/// What a line says of itself, in either form.
struct Head {
  std::optional<Nanos> at;
  uint32_t pid = 0;
  std::string_view message;
};

/// "2026-11-22 11:50:01.123 UTC", at the beginning.
std::optional<Nanos> ReadTime(std::string_view text) {
  const std::string z(text.substr(0, 40));
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0, end = 0;
  if (std::sscanf(z.c_str(), "%4d-%2d-%2d %2d:%2d:%2d%n", &y, &mo, &d, &h, &mi, &s, &end) != 6)
    return std::nullopt;
  std::string_view rest = std::string_view(z).substr(size_t(end));
  Nanos nanos = 0;
  if (rest.starts_with('.')) {
    Nanos unit = 100'000'000;
    for (rest.remove_prefix(1); !rest.empty() && rest[0] >= '0' && rest[0] <= '9';
         rest.remove_prefix(1), unit /= 10)
      nanos += (rest[0] - '0') * unit;
  }
  if (!rest.starts_with(" UTC") && !rest.starts_with(" GMT")) return std::nullopt;
  const std::chrono::year_month_day day{std::chrono::year(y), std::chrono::month(unsigned(mo)),
                                        std::chrono::day(unsigned(d))};
  if (!day.ok() || h > 23 || mi > 59 || s > 60 || y < 1970 || y > 2200) return std::nullopt;
  const Nanos days = std::chrono::sys_days(day).time_since_epoch().count();
  return (((days * 24 + h) * 60 + mi) * 60 + s) * 1'000'000'000 + nanos;
}

/// The first "[digits]".
uint32_t ReadPid(std::string_view prefix) {
  for (size_t at = prefix.find('['); at != prefix.npos; at = prefix.find('[', at + 1)) {
    uint32_t pid = 0;
    const char* const begin = prefix.data() + at + 1;
    const auto [end, error] = std::from_chars(begin, prefix.data() + prefix.size(), pid);
    if (error == std::errc() && end != prefix.data() + prefix.size() && *end == ']') return pid;
  }
  return 0;
}

std::optional<Head> ReadText(std::string_view line) {
  // The first of them: what a client calls itself stands behind.
  size_t at = line.npos;
  for (const std::string_view what : {kReceived, kAuthorized}) at = std::min(at, line.find(what));
  if (at == line.npos) return std::nullopt;
  if (at >= 12 && line.substr(at - 12, 12) == "replication ") at -= 12;
  // "LOG:  " stands in front of it, or a continuation is not the server's own line.
  const std::string_view prefix = line.substr(0, at);
  if (!prefix.ends_with("LOG:  ")) return std::nullopt;
  return Head{ReadTime(prefix), ReadPid(prefix), line.substr(at)};
}

std::optional<Head> ReadJson(const json::Document& document) {
  const json::Value root = document.root();
  const auto message = root["message"].string();
  if (!message) return std::nullopt;
  Head head{std::nullopt, 0, *message};
  if (const auto time = root["timestamp"].string()) head.at = ReadTime(*time);
  const auto pid = root["pid"].integer();
  if (pid && *pid > 0 && *pid <= UINT32_MAX) head.pid = uint32_t(*pid);
  return head;
}

/// Up to the next of the server's own words, as names may hold spaces.
std::string TakeName(std::string_view& text, std::string_view end) {
  const size_t at = text.find(end);
  std::string name(text.substr(0, at));
  text.remove_prefix(at == text.npos ? text.size() : at + end.size());
  return name;
}

}  // namespace

std::optional<LoggedConnection> ConnectionLog::Take(std::string_view line) {
  ++lines_;
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  std::optional<Head> head;
  json::Document document;
  if (line.starts_with('{')) {
    auto parsed = json::Document::Parse(line, {.max_bytes = 1 << 20, .max_depth = 32});
    if (!parsed) return std::nullopt;
    document = std::move(*parsed);
    head = ReadJson(document);
  } else {
    head = ReadText(line);
  }
  if (!head) return std::nullopt;
  std::string_view text = head->message;
  if (text.starts_with(kReceived)) {
    text.remove_prefix(kReceived.size());
    From from;
    const size_t port = text.rfind(" port=");
    from.host = text.substr(0, port);
    if (port != text.npos) from.port = text.substr(port + 6);
    if (received_.size() >= kMostReceived) received_.clear();
    if (head->pid != 0) received_[head->pid] = std::move(from);
    return std::nullopt;
  }
  LoggedConnection made;
  if (text.starts_with("replication ")) {
    made.replication = true;
    text.remove_prefix(12);
  }
  if (!text.starts_with(kAuthorized)) return std::nullopt;
  text.remove_prefix(kAuthorized.size());
  made.line = lines_;
  made.at = head->at;
  made.pid = head->pid;
  if (made.replication) {
    made.user = TakeName(text, " application_name=");
  } else {
    made.user = TakeName(text, " database=");
    made.database = TakeName(text, " application_name=");
  }
  for (std::string* last : {&made.user, &made.database}) {
    const size_t tls = last->find(" SSL enabled (");
    if (tls != last->npos) last->resize(tls);
  }
  made.application = text.substr(0, text.rfind(" SSL enabled ("));
  if (const auto from = received_.find(made.pid); from != received_.end()) {
    made.host = std::move(from->second.host);
    made.port = std::move(from->second.port);
    received_.erase(from);
  }
  ++authorized_;
  return made;
}

}  // namespace sallyport::pg
