#include <cstdio>
#include <fstream>
#include <iostream>

#include "app/audit_export.h"
#include "app/exit_code.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "export/reconcile.h"
#include "export/spool.h"
#include "json/document.h"

namespace sallyport::app {
namespace {

constexpr size_t kLongestLine = 4 << 20;

int Sorry(const Error& error) {
  std::fprintf(stderr, "sallyport audit delivered: %s (%s)\n", error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

Result<> ReadLines(std::istream& in, exporting::Reconciliation& reconciliation) {
  std::string line;
  while (std::getline(in, line)) {
    if (line.size() > kLongestLine)
      return Fail(Errc::request_too_large,
                  "a line is longer than 4 MiB: this is no list of events");
    reconciliation.Add(line);
  }
  return in.bad() ? Fail(Errc::io_failed, "the receiver's list cannot be read") : Result<>();
}

}  // namespace

int RunAuditDelivered(const AuditDeliveredOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  auto spool = exporting::Spool::Open(dir);
  if (!spool) return Sorry(spool.error());
  exporting::Reconciliation reconciliation(spool->origin());
  std::ifstream file;
  if (options.received != "-") {
    file.open(options.received);
    if (!file) return Sorry(Error(Errc::not_found, "cannot open " + options.received));
  }
  const Result<> read = ReadLines(options.received == "-" ? std::cin : file, reconciliation);
  if (!read) return Sorry(read.error());
  const auto report = reconciliation.Compare(*spool, options.from, options.to);
  if (!report) return Sorry(report.error());
  std::string facts;
  {
    auto brief = *report;
    brief.missing.resize(std::min<size_t>(brief.missing.size(), 20));
    brief.changed.resize(std::min<size_t>(brief.changed.size(), 20));
    facts = brief.Json();
  }
  if (const auto noted = NoteFinding(dir, op::EventType::delivery_reported, options.receiver,
                                     report->whole(), facts);
      !noted)
    return Sorry(noted.error());
  std::puts(options.json ? report->Json().c_str() : report->Text().c_str());
  return report->whole() ? kOk : kNegative;
}

}  // namespace sallyport::app
