#include "app/audit_export.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "app/exit_code.h"
#include "app/moment.h"
#include "app/read_spool.h"
#include "app/recorded.h"
#include "app/verbs.h"
#include "export/format.h"
#include "export/spool.h"

namespace sallyport::app {
namespace {

using exporting::Event;
using exporting::Format;
using exporting::Spool;

int Sorry(const Error& error) {
  std::fprintf(stderr, "sallyport audit export: %s (%s)\n", error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

/// Where an export begins or ends: an entry, or a time.
struct Bound {
  std::optional<uint64_t> index;
  std::optional<Nanos> time;
};

std::optional<Bound> ReadBound(const std::string& text) {
  Bound bound;
  if (text.empty()) return bound;
  uint64_t index = 0;
  const char* const end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, index);
      error == std::errc() && at == end) {
    bound.index = index;
    return bound;
  }
  bound.time = ParseMoment(text);
  if (!bound.time) return std::nullopt;
  return bound;
}

Result<> Write(Spool& spool, const exporting::Style& style, const Bound& from, const Bound& to,
               Recorded& recorded) {
  const uint64_t end = std::min(spool.size(), to.index.value_or(spool.size()));
  for (uint64_t i = from.index.value_or(0); i < end; ++i) {
    SALLYPORT_TRY(const Event event, spool.Read(i));
    const Nanos at = event.entry != nullptr ? event.entry->at : 0;
    // What cannot be read has no time: it belongs to every period rather than to none.
    if (event.entry != nullptr && from.time && at < *from.time) continue;
    if (event.entry != nullptr && to.time && at >= *to.time) continue;
    std::string line = exporting::Render(style, event);
    if (style.format == Format::json) recorded.Fill(line);
    line += '\n';
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size())
      return Fail(Errc::io_failed, "standard output cannot be written");
  }
  if (std::fflush(stdout) != 0) return Fail(Errc::io_failed, "standard output cannot be written");
  return {};
}

}  // namespace

int RunAuditExport(const AuditExportOptions& options) {
  const auto from = ReadBound(options.from), to = ReadBound(options.to);
  if (!from || !to) {
    std::fprintf(stderr,
                 "sallyport audit export: \"%s\" is neither an index nor a time; write 4711, "
                 "2026-11-21 or 2026-11-21T12:00:00Z\n",
                 (from ? options.to : options.from).c_str());
    return kUsage;
  }
  exporting::Style style{.version = SALLYPORT_VERSION};
  for (const Format format : {Format::ocsf, Format::cef, Format::ecs, Format::json}) {
    if (options.format == exporting::FormatName(format)) style.format = format;
  }
  const std::string dir = DataDirOrDefault(options.data_dir);
  Result<Recorded> recorded = Recorded::Open(dir, {options.config, options.kek});
  if (!recorded) return Sorry(recorded.error());
  Result<Spool> spool = Spool::Open(dir);
  if (!spool) return Sorry(spool.error());
  if (const auto noted = NoteReading(dir, "audit export", options.format); !noted)
    return Sorry(noted.error());
  const Result<> written = Write(*spool, style, *from, *to, *recorded);
  if (!written) return Sorry(written.error());
  return recorded->damaged() > 0 ? kNegative : kOk;
}

}  // namespace sallyport::app
