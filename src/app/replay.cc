#include "ledger/replay.h"

#include <cstdio>

#include "app/exit_code.h"
#include "app/read_spool.h"
#include "app/replay_page.h"
#include "app/verbs.h"

namespace sallyport::app {
namespace {

Result<std::string> Render(const std::string& dir, const ReplayOptions& options) {
  using enum ledger::ReplayFormat;
  if (options.format == "html") return ReplayPage(dir, options.session);
  return ledger::RenderReplay(dir, options.session,
                              options.format == "jsonl"  ? jsonl
                              : options.format == "cast" ? cast
                                                         : text);
}

}  // namespace

int RunReplay(const ReplayOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  Result<std::string> rendered = Render(dir, options);
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
  return kOk;
}

}  // namespace sallyport::app
