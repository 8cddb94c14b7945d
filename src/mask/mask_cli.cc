// Masks standard input: text, or with --jsonl the lines of the test corpus. For development; the
// product's verb is `sallyport mask`.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "mask/corpus_format.h"

int main(int argc, char** argv) {
  using namespace sallyport;
  const bool jsonl = argc > 1 && std::string_view(argv[1]) == "--jsonl";
  const auto masker =
      mask::Masker::Make(mask::DefaultDetectors(), Secret("a key for development only"));
  if (!masker) {
    std::cerr << masker.error().detail << "\n";
    return 1;
  }
  if (!jsonl) {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    const auto record = mask::MaskRecord(**masker, mask::TextFormat::text, text);
    std::cout << record->text;
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = mask::MaskCorpusLine(**masker, line);
    if (!answer) {
      std::cerr << ReasonCode(answer.error().code) << ": " << answer.error().detail << "\n";
      return 1;
    }
    std::cout << *answer << "\n";
  }
}
