#include "export/cursor.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "json/document.h"
#include "ledger/file.h"
#include "ledger/object_writer.h"

namespace sallyport::exporting {

Result<Cursor> Cursor::Open(const std::filesystem::path& data_dir, const std::string& name,
                            Spool& spool, bool from_now) {
  const std::filesystem::path dir = data_dir / "state" / "exports";
  SALLYPORT_CHECK(ledger::MakeDirectories(dir));
  Cursor cursor(dir / (name + ".cursor"), dir / (name + ".parked"));
  const Result<std::string> kept = ledger::ReadFile(cursor.file_, 64 << 10);
  if (kept) {
    SALLYPORT_CHECK(cursor.Load(*kept, spool));
  } else if (kept.error().code != Errc::not_found) {
    return std::unexpected(kept.error());
  } else {
    // Written at once: where "now" was must not change at the next start.
    SALLYPORT_CHECK(cursor.Save(from_now ? spool.size() : 0, spool));
  }
  return cursor;
}

Result<> Cursor::Load(std::string_view text, Spool& spool) {
  const auto refuse = [&](const std::string& what) {
    return Fail(Errc::io_failed, file_.string() + " " + what +
                                     "; move it away to send everything from the first entry on");
  };
  const auto document = json::Document::Parse(text);
  const json::Value root = document ? document->root() : json::Value();
  const auto next = root["next"].integer();
  const auto origin = root["origin"].string(), leaf = root["leaf"].string();
  if (!document || !next || *next < 0 || !origin || !leaf) return refuse("is no cursor");
  if (*origin != spool.origin()) return refuse("is of another log");
  if (uint64_t(*next) > spool.size()) {
    return refuse("stands at entry " + std::to_string(*next) + ", and the log has only " +
                  std::to_string(spool.size()) + ": it was cut or replaced");
  }
  if (*next > 0) {
    SALLYPORT_TRY(const std::string now, spool.LeafOf(uint64_t(*next) - 1));
    if (now != *leaf)
      return refuse("stands behind another entry " + std::to_string(*next - 1) +
                    " than the log has: it was replaced");
  }
  next_ = uint64_t(*next);
  return {};
}

Result<> Cursor::Save(uint64_t next, Spool& spool) {
  std::string leaf;
  if (next > 0) {
    SALLYPORT_TRY(leaf, spool.LeafOf(next - 1));
  }
  std::string text = "{\"v\":1,\"origin\":" + json::Quote(spool.origin()) +
                     ",\"next\":" + std::to_string(next) + ",\"leaf\":" + json::Quote(leaf) + "}\n";
  SALLYPORT_CHECK(ledger::ReplaceFile(file_, text));
  SALLYPORT_CHECK(ledger::SyncPath(file_.parent_path()));
  next_ = next;
  return {};
}

Result<> Cursor::Park(std::string_view origin, const std::vector<Refused>& refused) {
  if (refused.empty()) return {};
  std::string lines;
  for (const Refused& r : refused) {
    ledger::ObjectWriter object(lines);
    object.Text("uid", std::string(origin) + ":" + std::to_string(r.index));
    object.Number("index", r.index);
    object.Text("at", FormatUtc(SystemClock().WallNow()));
    object.Text("why", r.why);
    object.Close();
    lines += '\n';
  }
  const Descriptor file(
      ::open(parked_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return std::unexpected(ledger::SystemError("open", parked_));
  if (::write(file.get(), lines.data(), lines.size()) != ssize_t(lines.size()))
    return std::unexpected(ledger::SystemError("write", parked_));
  if (::fsync(file.get()) != 0) return std::unexpected(ledger::SystemError("sync", parked_));
  return ledger::SyncPath(parked_.parent_path());
}

}  // namespace sallyport::exporting
