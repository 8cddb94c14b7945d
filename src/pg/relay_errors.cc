#include "pg/relay_errors.h"

#include <array>
#include <utility>

#include "pg/frame.h"

namespace sallyport::pg {
namespace {

/// What a class of SQLSTATE says without any value (PostgreSQL 15, errcodes.txt).
std::string_view Template(std::string_view code) {
  static constexpr auto kExact = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"22P02", "invalid input syntax"},
      {"22001", "value too long"},
      {"22003", "value out of range"},
      {"22012", "division by zero"},
      {"23502", "null value violates a not-null constraint"},
      {"23503", "a foreign key constraint is violated"},
      {"23505", "duplicate key value violates a unique constraint"},
      {"23514", "a check constraint is violated"},
      {"40001", "could not serialize access"},
      {"40P01", "deadlock detected"},
      {"42501", "permission denied"},
      {"42601", "syntax error"},
      {"42703", "column does not exist"},
      {"42P01", "relation does not exist"},
      {"42883", "function or operator does not exist"},
      {"25P02", "current transaction is aborted, commands ignored until end of transaction block"},
      {"55P03", "lock not available"},
      {"57014", "canceling statement due to user request"},
  });
  for (const auto& [exact, text] : kExact) {
    if (exact == code) return text;
  }
  static constexpr auto kClasses = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"00", "notice"},
      {"01", "warning"},
      {"08", "connection error"},
      {"0A", "feature not supported"},
      {"21", "cardinality violation"},
      {"22", "data error"},
      {"23", "integrity constraint violation"},
      {"25", "invalid transaction state"},
      {"28", "not authorized"},
      {"42", "the statement cannot be run"},
      {"53", "insufficient resources"},
      {"54", "a limit of the server was exceeded"},
      {"55", "object not in the needed state"},
      {"57", "operator intervention"},
      {"58", "system error"},
  });
  for (const auto& [prefix, text] : kClasses) {
    if (code.starts_with(prefix)) return text;
  }
  return "error";
}

bool Stays(char field) {
  switch (field) {
    case 'S':
    case 'V':
    case 'C':
    case 's':
    case 't':
    case 'c':
    case 'n':
      return true;
    default:
      return false;
  }
}

std::string Scanned(const mask::Masker& masker, std::string_view text) {
  std::string masked;
  mask::Tally tally;
  return masker.MaskText(text, {}, masked, tally) ? masked : std::string(text);
}

}  // namespace

Result<FilteredError> FilterError(char type, std::string_view body, const mask::Masker& masker,
                                  bool classified, bool moved) {
  struct Field {
    char code;
    std::string_view value;
  };
  std::array<Field, 24> fields;
  size_t count = 0;
  BodyReader r(body);
  FilteredError out;
  for (;;) {
    const char code = static_cast<char>(r.U8());
    if (code == 0 || r.failed()) break;
    const std::string_view value = r.CString();
    if (code == 'C') out.sqlstate = value;
    if (code == 'V' || (code == 'S' && !out.fatal)) {
      out.fatal = value == "FATAL" || value == "PANIC";
    }
    if (count < fields.size()) fields[count++] = {code, value};
  }
  if (!r.done()) return Fail(Errc::upstream_protocol, "a malformed error message");
  MessageWriter w(out.message);
  w.Begin(type);
  for (const Field& field : std::span(fields.data(), count)) {
    std::string value;
    if (field.code == 'M' && classified) {
      value = Template(out.sqlstate);
    } else if (Stays(field.code)) {
      // Names of objects may be chosen by somebody to hold a number.
      value = field.value.size() < 12 ? std::string(field.value) : Scanned(masker, field.value);
    } else if (classified || (moved && (field.code == 'P' || field.code == 'p'))) {
      continue;
    } else {
      value = Scanned(masker, field.value);
    }
    if (field.code == 'M') out.text = value;
    w.U8(static_cast<uint8_t>(field.code)).CString(value);
  }
  if (classified) {
    w.U8('H').CString(
        "The server's own words are withheld: the statement touches classified "
        "columns.");
  }
  w.U8(0);
  w.End();
  return out;
}

}  // namespace sallyport::pg
