#include "ledger/replay.h"

#include <cstdio>

#include "app/exit_code.h"
#include "app/read_spool.h"
#include "app/recorded.h"
#include "app/replay_page.h"
#include "app/verbs.h"

namespace sallyport::app {
namespace {

Result<std::string> Render(const std::string& dir, const ReplayOptions& options,
                           Recorded& recorded) {
  using enum ledger::ReplayFormat;
  if (options.format == "html") return ReplayPage(dir, options.session, recorded);
  SALLYPORT_TRY(auto events, ledger::ReplaySession(dir, options.session));
  recorded.Fill(events);
  return ledger::RenderReplay(events, options.session,
                              options.format == "jsonl"  ? jsonl
                              : options.format == "cast" ? cast
                                                         : text);
}

}  // namespace

int RunReplay(const ReplayOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  Result<std::string> rendered = Fail(Errc::internal);
  auto recorded = Recorded::Open(dir, {options.config, options.kek});
  rendered = recorded ? Render(dir, options, *recorded) : std::unexpected(recorded.error());
  if (rendered) {
    if (const Result<> noted = NoteReading(dir, "replay", options.session); !noted)
      rendered = std::unexpected(noted.error());
  }
  if (!rendered) {
    std::fprintf(stderr, "sallyport replay: %s (%s)\n", rendered.error().detail.c_str(),
                 std::string(ReasonCode(rendered.error().code)).c_str());
    return kFailed;
  }
  std::fwrite(rendered->data(), 1, rendered->size(), stdout);
  if (recorded->damaged() > 0) {
    std::fprintf(stderr, "sallyport replay: %llu recordings are damaged (recording-damaged)\n",
                 static_cast<unsigned long long>(recorded->damaged()));
    return kNegative;
  }
  return kOk;
}

}  // namespace sallyport::app
