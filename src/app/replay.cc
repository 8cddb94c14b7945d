#include "ledger/replay.h"

#include <cstdio>

#include "app/exit_code.h"
#include "app/read_spool.h"
#include "app/verbs.h"

namespace sallyport::app {

int RunReplay(const ReplayOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  const auto format =
      options.format == "jsonl" ? ledger::ReplayFormat::jsonl : ledger::ReplayFormat::text;
  Result<std::string> text = ledger::RenderReplay(dir, options.session, format);
  if (text) {
    if (const Result<> noted = NoteReading(dir, "replay", options.session); !noted)
      text = std::unexpected(noted.error());
  }
  if (!text) {
    std::fprintf(stderr, "sallyport replay: %s (%s)\n", text.error().detail.c_str(),
                 std::string(ReasonCode(text.error().code)).c_str());
    return kFailed;
  }
  std::fputs(text->c_str(), stdout);
  return kOk;
}

}  // namespace sallyport::app
