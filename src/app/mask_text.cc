#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"
#include "base/ids.h"
#include "mask/corpus_format.h"
#include "mask/text_stream.h"

namespace sallyport::app {
namespace {

int MaskLines(const mask::Masker& masker) {
  int exit_code = kOk;
  size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (line.empty()) continue;
    const Result<std::string> answer = mask::MaskCorpusLine(masker, line);
    if (answer) {
      std::cout << *answer << '\n';
      continue;
    }
    std::cerr << "sallyport mask: line " << number << ": " << answer.error().detail << " ("
              << ReasonCode(answer.error().code) << ")\n";
    exit_code = kFailed;
  }
  return exit_code;
}

int MaskStream(std::shared_ptr<const mask::Masker> masker) {
  mask::TextStream stream(std::move(masker), {});
  std::string chunk(64 << 10, '\0'), out;
  while (std::cin) {
    std::cin.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    out.clear();
    stream.Feed(std::string_view(chunk.data(), static_cast<size_t>(std::cin.gcount())), out);
    std::cout.write(out.data(), static_cast<std::streamsize>(out.size()));
  }
  out.clear();
  stream.Finish(out);
  std::cout << out << std::flush;
  return kOk;
}

}  // namespace

int RunMask(const MaskOptions& options) {
  std::ios::sync_with_stdio(false);
  std::vector<mask::DetectorSpec> detectors = mask::DefaultDetectors();
  if (!options.config.empty()) {
    int exit_code = kOk;
    Result<config::Root> root = LoadOrExplain(options.config, exit_code);
    if (!root) return exit_code;
    detectors = root->masking.detectors;
  }
  // A key of this run only: tokens made here are not the gateway's.
  auto masker = mask::Masker::Make(detectors, Secret(NewHandle(32)));
  if (!masker) {
    std::fprintf(stderr, "sallyport mask: %s\n", masker.error().detail.c_str());
    return kBadConfig;
  }
  return options.jsonl ? MaskLines(**masker) : MaskStream(std::move(*masker));
}

}  // namespace sallyport::app
