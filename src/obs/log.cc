#include "obs/log.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace sallyport::obs {
namespace {

constexpr size_t kLineLimit = 16 << 10;

struct Levels {
  Level common = Level::info;
  std::vector<std::pair<std::string, Level>> components;
};

std::optional<Level> ParseLevel(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warn") return Level::warn;
  if (text == "error") return Level::error;
  if (text == "off") return Level::off;
  return std::nullopt;
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
    case Level::off:
      return "off";
  }
  return "off";
}

std::optional<Levels> ParseLevels(std::string_view spec) {
  Levels levels;
  bool common_seen = false;
  while (!spec.empty()) {
    const size_t comma = spec.find(',');
    const std::string_view part = spec.substr(0, comma);
    spec = comma == spec.npos ? std::string_view() : spec.substr(comma + 1);
    const size_t equals = part.find('=');
    const auto level = ParseLevel(equals == part.npos ? part : part.substr(equals + 1));
    if (!level || equals == 0) return std::nullopt;
    if (equals != part.npos) {
      levels.components.emplace_back(part.substr(0, equals), *level);
    } else if (std::exchange(common_seen, true)) {
      return std::nullopt;
    } else {
      levels.common = *level;
    }
  }
  return levels;
}

using Filter = std::function<void(std::string&)>;

struct State {
  State() {
    if (const char* spec = std::getenv("SALLYPORT_LOG")) {
      if (auto parsed = ParseLevels(spec))
        levels = std::make_shared<const Levels>(std::move(*parsed));
    }
    RefreshLowest();
  }
  void RefreshLowest() {
    Level least = levels->common;
    for (const auto& [name, level] : levels->components) least = std::min(least, level);
    lowest.store(least, std::memory_order_relaxed);
  }

  std::mutex mutex;  // guards the pointers, not the writing
  std::shared_ptr<const Levels> levels = std::make_shared<const Levels>();
  std::shared_ptr<const Filter> filter;
  std::atomic<Level> lowest{Level::info};  // so that a disabled debug line costs one load
  std::atomic<int> descriptor{2};
  std::atomic<uint64_t> dropped{0};
};

/// Never destroyed: threads may still log while the process leaves main().
State& TheState() {
  static State* state = new State;
  return *state;
}

/// The length of the valid UTF-8 sequence at the start of `s`, 0 if there is none.
size_t Utf8Length(std::string_view s) {
  const auto byte = [&](size_t i) { return i < s.size() ? uint8_t(s[i]) : uint8_t(0); };
  const auto tail = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

void AppendText(std::string& out, std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  out += '"';
  while (!text.empty()) {
    const size_t n = Utf8Length(text);
    const auto c = uint8_t(text[0]);
    if (n == 0) {
      out += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    if (n > 1) {
      out += text.substr(0, n);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += char(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\u00";
      out += digits[c >> 4];
      out += digits[c & 15];
    } else {
      out += char(c);
    }
    text.remove_prefix(n);
  }
  out += '"';
}

/// Writes the whole line or says that it could not. A pipe that is full for longer than a moment
/// loses.
bool WriteLine(int descriptor, std::string_view line) {
  bool waited = false;
  while (!line.empty()) {
    const ssize_t n = ::write(descriptor, line.data(), line.size());
    if (n > 0) {
      line.remove_prefix(size_t(n));
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN && !std::exchange(waited, true)) {
      pollfd p{descriptor, POLLOUT, 0};
      ::poll(&p, 1, 5);
    } else {
      return false;
    }
  }
  return true;
}

/// RFC 3339 with microseconds.
void AppendTime(std::string& out) {
  std::string text = FormatUtc(SystemClock().WallNow());
  text.resize(text.size() - 4);  // three digits and the Z
  out += text;
  out += 'Z';
}

}  // namespace

void LogValue::AppendTo(std::string& out) const {
  char digits[40];
  const auto number = [&](auto value) {
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, end);
  };
  switch (kind_) {
    case Kind::text:
      return AppendText(out, text_);
    case Kind::boolean:
      out += signed_ ? "true" : "false";
      return;
    case Kind::signed_number:
      return number(signed_);
    case Kind::unsigned_number:
      return number(unsigned_);
    case Kind::real:
      if (std::isfinite(real_)) return number(real_);
      out += "null";
      return;
  }
}

bool LogEnabled(Level level, std::string_view event) {
  State& state = TheState();
  if (level < state.lowest.load(std::memory_order_relaxed) || level == Level::off) return false;
  std::shared_ptr<const Levels> levels;
  {
    std::lock_guard lock(state.mutex);
    levels = state.levels;
  }
  const std::string_view component = event.substr(0, event.find('.'));
  for (const auto& [name, least] : levels->components) {
    if (name == component) return level >= least;
  }
  return level >= levels->common;
}

void Log(Level level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!LogEnabled(level, event)) return;
  State& state = TheState();
  std::string line = "{\"ts\":\"";
  AppendTime(line);
  line += "\",\"level\":\"";
  line += LevelName(level);
  line += "\",\"event\":";
  AppendText(line, event);
  for (const LogField& field : fields) {
    const size_t before = line.size();
    line += ',';
    AppendText(line, field.key);
    line += ':';
    field.value.AppendTo(line);
    if (line.size() > kLineLimit) {
      line.resize(before);
      line += ",\"cut\":true";
      break;
    }
  }
  line += '}';
  std::shared_ptr<const Filter> filter;
  {
    std::lock_guard lock(state.mutex);
    filter = state.filter;
  }
  bool written = false;
  try {
    if (filter) (*filter)(line);
    line += '\n';
    written = WriteLine(state.descriptor.load(), line);
  } catch (...) {
    written = false;
  }
  if (!written) state.dropped.fetch_add(1, std::memory_order_relaxed);
}

bool SetLevel(std::string_view spec) {
  auto parsed = ParseLevels(spec);
  if (!parsed) return false;
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.levels = std::make_shared<const Levels>(std::move(*parsed));
  state.RefreshLowest();
  return true;
}

void SetLineFilter(std::function<void(std::string&)> filter) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.filter = filter ? std::make_shared<const Filter>(std::move(filter)) : nullptr;
}

void SetLogDescriptor(int descriptor) { TheState().descriptor.store(descriptor); }

uint64_t LinesDropped() { return TheState().dropped.load(std::memory_order_relaxed); }

}  // namespace sallyport::obs
