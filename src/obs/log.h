#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace sallyport {
class Secret;
}

namespace sallyport::obs {

enum class Level { debug, info, warn, error, off };

/// What a log field may hold: text, a number or a truth value. A Secret does not convert. Text is
/// viewed, not copied: it has to live until Log() returns.
class LogValue {
 public:
  LogValue(std::string_view text) : kind_(Kind::text), text_(text) {}
  LogValue(const std::string& text) : kind_(Kind::text), text_(text) {}
  LogValue(const char* text) : kind_(Kind::text), text_(text) {}
  LogValue(bool value) : kind_(Kind::boolean), signed_(value) {}
  template <std::signed_integral T>
  LogValue(T value) : kind_(Kind::signed_number), signed_(value) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  LogValue(T value) : kind_(Kind::unsigned_number), unsigned_(value) {}
  template <std::floating_point T>
  LogValue(T value) : kind_(Kind::real), real_(value) {}
  LogValue(const Secret&) = delete;
  template <class T>
    requires std::is_pointer_v<T>
  LogValue(T) = delete;  // would otherwise become a bool

  /// Appends the value as JSON.
  void AppendTo(std::string& out) const;

 private:
  enum class Kind { text, boolean, signed_number, unsigned_number, real };
  Kind kind_;
  std::string_view text_;
  int64_t signed_ = 0;
  uint64_t unsigned_ = 0;
  double real_ = 0;
};

struct LogField {
  std::string_view key;
  LogValue value;
};

/// Writes one line of JSON to standard error:
///   {"ts":"2026-11-20T12:00:00.123456Z","level":"info","event":"mcp.session_opened","session":"s_…"}
///
/// `event` is a fixed name, `<component>.<what_happened>`; what varies goes into fields. Never a
/// token, an argument, a statement or a body: those belong to the evidence log, masked. Text is
/// escaped, so one call is one line; bytes that are not UTF-8 become U+FFFD; a line is cut at 16
/// KiB (its fields that do not fit are replaced by "cut":true). Thread-safe; one write(2) per line.
/// A line that cannot be written (a full pipe on a non-blocking descriptor, a closed one) is
/// dropped and counted, it never stops the caller.
void Log(Level level, std::string_view event, std::initializer_list<LogField> fields = {});

/// True if a line of `level` of that event's component would be written: to spare costly fields.
bool LogEnabled(Level level, std::string_view event);

/// Sets the levels as SALLYPORT_LOG does: "info", or "info,mcp=debug,net=warn" (a level per
/// component, the first one without a name is for all others). False and unchanged if the text is
/// wrong. The environment variable is read at the first use of the log; default "info".
bool SetLevel(std::string_view spec);

/// Runs over each whole line (without the newline) before it is written: the masker's place. The
/// filter is called from any thread and must be thread-safe; it must keep the line a line. An empty
/// function takes it away. If the filter throws, the line is dropped and counted, not written raw.
void SetLineFilter(std::function<void(std::string&)> filter);

/// Sends lines elsewhere (tests); the default is descriptor 2. The descriptor stays the caller's.
void SetLogDescriptor(int descriptor);

/// Lines lost since the start.
uint64_t LinesDropped();

}  // namespace sallyport::obs
