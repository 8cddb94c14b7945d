#include "recording/age.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

namespace sallyport::recording {
namespace {

namespace fs = std::filesystem;

std::string Output(const std::string& command) {
  std::string out;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[4096];
  for (size_t n; (n = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  return ::pclose(pipe) == 0 ? out : "FAILED " + out;
}

/// The age program of the system is the judge.
TEST(AgeTest, TheStockProgramOpensIt) {
  std::string name = (fs::temp_directory_path() / "sallyport-age-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path dir = name;
  const std::string identity = dir / "key.txt";
  if (Output("age-keygen -o " + identity + " 2>&1").starts_with("FAILED")) {
    fs::remove_all(dir);
    GTEST_SKIP() << "age is not installed";
  }
  std::string recipient = Output("age-keygen -y " + identity);
  recipient.pop_back();
  for (const size_t size : {0uz, 1uz, 65'535uz, 65'536uz, 65'537uz, 131'072uz, 400'000uz}) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i) text[i] = char('a' + i * 7 % 26);
    const fs::path file = dir / "out.age";
    {
      std::ofstream out(file, std::ios::binary);
      auto writer = AgeWriter::Begin(recipient, [&](std::string_view bytes) -> Result<> {
        out << bytes;
        return {};
      });
      ASSERT_TRUE(writer) << writer.error().detail;
      for (size_t at = 0; at < size; at += 1000)
        ASSERT_TRUE(writer->Write(std::string_view(text).substr(at, 1000)));
      ASSERT_TRUE(writer->Finish());
    }
    EXPECT_EQ(Output("age -d -i " + identity + " " + file.string() + " 2>&1"), text) << size;
    fs::resize_file(file, fs::file_size(file) - 1);
    EXPECT_TRUE(Output("age -d -i " + identity + " " + file.string() + " 2>&1 >/dev/null")
                    .starts_with("FAILED"))
        << size;
  }
  fs::remove_all(dir);
}

TEST(AgeTest, OnlyRecipients) {
  constexpr std::string_view kGood =
      "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";  // of the age README
  EXPECT_TRUE(ReadAgeRecipient(kGood));
  for (size_t at = 0; at < kGood.size(); ++at) {
    std::string bad(kGood);
    bad[at] = bad[at] == 'q' ? 'p' : 'q';
    EXPECT_FALSE(ReadAgeRecipient(bad)) << at;
  }
  for (const char* text : {"", "age1", "ssh-ed25519 AAAA"}) EXPECT_FALSE(ReadAgeRecipient(text));
}

}  // namespace
}  // namespace sallyport::recording
