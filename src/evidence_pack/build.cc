#include "evidence_pack/build.h"

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "evidence_pack/coverage.h"
#include "evidence_pack/history.h"
#include "evidence_pack/integrity.h"
#include "evidence_pack/pack.h"
#include "evidence_pack/papers.h"
#include "evidence_pack/tables.h"
#include "ledger/checkpoint.h"
#include "ledger/proof.h"
#include "ledger/reader.h"
#include "ledger/verify.h"

namespace sallyport::evidence_pack {
namespace {

namespace fs = std::filesystem;

/// What the log is at the moment: one head for everything in the pack.
struct Source {
  ledger::LogReader log;
  ledger::VerifyReport report;
  std::string cosigned;  // note; empty: nobody has cosigned, or a later head
};

Result<Source> OpenLog(const fs::path& data_dir) {
  // The cosigned head first: the published one can only be later.
  const auto cosigned = ledger::LogDirectory(data_dir / "log").Read("checkpoint.cosigned");
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(data_dir));
  if (log.checkpoint().size == 0) return Fail(Errc::not_found, "the log has no entry yet");
  ledger::VerifyReport report = ledger::VerifyDataDir(data_dir, {}, log.note());
  if (!report.found) return Fail(Errc::not_found, data_dir.string() + " holds no log");
  if (!report.ok()) {
    const ledger::Problem& problem = report.problems.front();
    return Fail(Errc::token_signature_invalid,
                "the log does not verify, and no pack is made of it: " + problem.file +
                    (problem.index ? ", entry " + std::to_string(*problem.index) : "") + ": " +
                    problem.what + " (see sallyport audit verify)");
  }
  Source source{std::move(log), std::move(report), ""};
  if (cosigned) {
    const auto head = ledger::PeekCheckpoint(*cosigned);
    if (head && head->size <= source.log.checkpoint().size) source.cosigned = *cosigned;
  }
  // Figures of this head: while a gateway writes, the verification may have seen a later one.
  source.report.size = source.report.entries = source.log.checkpoint().size;
  source.report.root = Base64Encode(source.log.checkpoint().root);
  source.report.cosigned_size.reset();
  if (!source.cosigned.empty())
    source.report.cosigned_size = ledger::PeekCheckpoint(source.cosigned)->size;
  return source;
}

/// First and last time of the entries that the head covers.
Result<std::pair<Nanos, Nanos>> Bounds(ledger::LogReader& log) {
  Nanos first = 0, last = 0;
  for (const uint64_t index : {uint64_t(0), log.checkpoint().size - 1}) {
    SALLYPORT_TRY(const std::string bytes, log.Read(index));
    const auto entry = ledger::DecodeEntry(bytes);
    if (!entry) continue;
    if (index == 0) first = entry->at;
    last = entry->at;
  }
  return std::pair(first, last);
}

/// All files that come out of the log, in one pass over it.
Result<BuildReport> ReadHistory(Pack& pack, Source& source, Integrity& integrity) {
  std::vector<std::unique_ptr<Table>> tables;
  BuildReport report;
  History history(pack.head().from, pack.head().to, [&](const Record& record) {
    if (record.inside) {
      ++report.entries;
      integrity.Inside(record.index);
      if (record.call != nullptr) integrity.Inside(record.call->index);  // it may have begun before
    }
    for (const auto& table : tables) table->Add(record);
  });
  tables.push_back(CallTable(pack));
  tables.push_back(EventTables(pack, history));
  tables.push_back(FieldTable(pack));
  tables.push_back(OperationTable(pack));
  tables.push_back(PeopleTable(pack));
  tables.push_back(CardTable(pack));
  tables.push_back(KeyTable(pack));
  SALLYPORT_CHECK(source.log.ForEach(0, source.log.checkpoint().size,
                                     [&](uint64_t index, std::string_view entry) -> Result<bool> {
                                       const ledger::Hash leaf = ledger::LeafHash(entry);
                                       integrity.Leaf(leaf);
                                       history.Add(index, leaf, entry);
                                       return true;
                                     }));
  if (report.entries == 0) {
    return Fail(Errc::not_found, "the log has no entry from " + Moment(pack.head().from) + " to " +
                                     Moment(pack.head().to));
  }
  SALLYPORT_CHECK(integrity.CheckRoot());
  for (const auto& table : tables) table->Finish(pack, history);
  return report;
}

Result<> Assemble(const BuildOptions& options, Pack& pack, const PackKey& key,
                  BuildReport& report) {
  SALLYPORT_TRY(ZipWriter zip, ZipWriter::Create(options.out));
  SALLYPORT_CHECK(AddPapers(pack, report, key));
  for (const PackFile& file : pack.files()) {
    SALLYPORT_CHECK(zip.Add(file.name(), file.packed()));
    ++report.files;
  }
  SALLYPORT_CHECK(zip.Finish());
  std::error_code error;
  report.bytes = fs::file_size(options.out, error);
  return {};
}

}  // namespace

Result<BuildReport> BuildPack(const BuildOptions& options, const Setup& setup, const PackKey& key) {
  const fs::path directory =
      options.out.has_parent_path() ? options.out.parent_path() : fs::path(".");
  std::error_code error;
  if (!fs::is_directory(directory, error))
    return Fail(Errc::io_failed, "cannot write in " + directory.string() + ": no such directory");
  if (fs::is_directory(options.out, error))
    return Fail(Errc::io_failed, "cannot write " + options.out.string() + ": it is a directory");
  SALLYPORT_TRY(Source source, OpenLog(options.data_dir));
  SALLYPORT_TRY(const auto bounds, Bounds(source.log));
  Pack::Head head;
  head.origin = source.log.checkpoint().origin;
  head.vkey = source.report.vkey;
  head.version = options.version;
  head.from = options.from != 0 ? options.from : bounds.first;
  head.to = options.to != 0 ? options.to : bounds.second + 1;
  head.config_digest = setup.digest;
  if (head.from >= head.to)
    return Fail(Errc::not_found,
                "the log has no entry in this period: it ends at " + Moment(bounds.second));
  SALLYPORT_TRY(PackScan scan, PackScan::Make());
  Pack pack(head, setup, directory, std::move(scan));
  Integrity integrity(options.data_dir, pack, source.log.note(), source.cosigned);
  SALLYPORT_TRY(BuildReport report, ReadHistory(pack, source, integrity));
  SALLYPORT_TRY(const ledger::Coverage coverage,
                ledger::Cover(options.data_dir, head.from, head.to));
  AddCoverage(pack, coverage);
  AddVerification(pack, source.report, options.data_dir);
  AddConfiguration(pack);
  SALLYPORT_CHECK(integrity.Finish(options.seed, options.samples));
  report.origin = head.origin;
  report.from = head.from;
  report.to = head.to;
  report.fingerprint = Fingerprint(key.public_pem());
  SALLYPORT_CHECK(Assemble(options, pack, key, report));
  return report;
}

}  // namespace sallyport::evidence_pack
