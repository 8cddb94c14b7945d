#include "secrets/source.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>

namespace sallyport::secrets {
namespace {

using testing::HasSubstr;
using testing::Not;

class SourceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "secretsXXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string Write(const std::string& name, const std::string& content, mode_t mode = 0400) {
    std::string path = dir_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    ::chmod(path.c_str(), mode);
    return path;
  }
  static Result<Secret> File(const std::string& path,
                             std::vector<std::string>* warnings = nullptr) {
    return Resolve({Ref::Kind::file, path}, warnings);
  }
  std::string dir_;
};

TEST_F(SourceTest, FileLosesOneNewline) {
  EXPECT_EQ(File(Write("a", "s3cret\n"))->Reveal(), "s3cret");
  EXPECT_EQ(File(Write("b", "s3cret"))->Reveal(), "s3cret");
  EXPECT_EQ(File(Write("c", "s3cret\r\n"))->Reveal(), "s3cret");
  EXPECT_EQ(File(Write("d", "s3cret\n\n"))->Reveal(), "s3cret\n");
  EXPECT_EQ(File(Write("e", " s3cret "))->Reveal(), " s3cret ");
  EXPECT_EQ(File(Write("f", std::string(65536, 'k')))->Reveal().size(), 65536u);
}

TEST_F(SourceTest, BadFilesAreNamedAndTheirContentIsNot) {
  EXPECT_EQ(File(dir_ + "/none").error().code, Errc::not_found);
  EXPECT_THAT(File(dir_ + "/none").error().detail, HasSubstr(dir_ + "/none"));
  EXPECT_EQ(File(Write("a", "")).error().code, Errc::config_invalid);
  EXPECT_EQ(File(Write("b", "\n")).error().code, Errc::config_invalid);
  auto nul = File(Write("c", std::string("abc\0def", 7)));
  EXPECT_EQ(nul.error().code, Errc::config_invalid);
  EXPECT_THAT(nul.error().detail, Not(HasSubstr("abc")));
  EXPECT_EQ(File(Write("d", std::string(65537, 'k'))).error().code, Errc::config_invalid);
  EXPECT_EQ(File(dir_).error().code, Errc::config_invalid);
  std::string fifo = dir_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(File(fifo).error().code, Errc::config_invalid) << "and it does not hang";
}

TEST_F(SourceTest, AFileThatOthersCanReadIsWarnedAbout) {
  std::vector<std::string> warnings;
  EXPECT_TRUE(File(Write("a", "x", 0600), &warnings));
  EXPECT_TRUE(warnings.empty());
  EXPECT_TRUE(File(Write("b", "x", 0640), &warnings));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("chmod"));
}

TEST_F(SourceTest, Environment) {
  ::setenv("SALLYPORT_TEST_SECRET", "v", 1);
  ::setenv("SALLYPORT_TEST_EMPTY", "", 1);
  EXPECT_EQ(Resolve({Ref::Kind::env, "SALLYPORT_TEST_SECRET"})->Reveal(), "v");
  EXPECT_STREQ(std::getenv("SALLYPORT_TEST_SECRET"), "*");
  EXPECT_EQ(Resolve({Ref::Kind::env, "SALLYPORT_TEST_SECRET"})->Reveal(), "v") << "kept";
  ::setenv("SALLYPORT_TEST_SECRET", "w", 1);
  EXPECT_EQ(Resolve({Ref::Kind::env, "SALLYPORT_TEST_SECRET"})->Reveal(), "w") << "changed";
  EXPECT_EQ(Resolve({Ref::Kind::env, "SALLYPORT_TEST_EMPTY"}).error().code, Errc::config_invalid);
  EXPECT_EQ(Resolve({Ref::Kind::env, "SALLYPORT_TEST_NONE"}).error().code, Errc::not_found);
}

TEST_F(SourceTest, SystemdCredential) {
  ::unsetenv("CREDENTIALS_DIRECTORY");
  auto unset = Resolve({Ref::Kind::credential, "pg"});
  EXPECT_EQ(unset.error().code, Errc::not_found);
  EXPECT_THAT(unset.error().detail, HasSubstr("LoadCredential"));
  ::setenv("CREDENTIALS_DIRECTORY", dir_.c_str(), 1);
  Write("pg", "pw\n");
  EXPECT_EQ(Resolve({Ref::Kind::credential, "pg"})->Reveal(), "pw");
  EXPECT_EQ(Resolve({Ref::Kind::credential, "../pg"}).error().code, Errc::config_invalid);
  EXPECT_EQ(Resolve({Ref::Kind::credential, ".."}).error().code, Errc::config_invalid);
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_F(SourceTest, AStoreIsAskedForItsOwnKind) {
  struct Echo : Store {
    Result<Secret> Read(const Ref& ref) override { return Secret(Describe(ref)); }
  };
  const Ref vault{Ref::Kind::vault, "secret/data/pg", "password"};
  const Ref aws{Ref::Kind::aws_secret, "pg"};
  EXPECT_EQ(Resolve(vault).error().code, Errc::config_invalid);
  SetStore(Ref::Kind::vault, std::make_shared<Echo>());
  EXPECT_EQ(Resolve(vault)->Reveal(), "vault secret/data/pg#password");
  EXPECT_EQ(Resolve(aws).error().code, Errc::config_invalid);
  SetStore(Ref::Kind::vault, nullptr);
  EXPECT_THAT(Resolve(vault).error().detail, HasSubstr("secret/data/pg"));
}

TEST_F(SourceTest, References) {
  EXPECT_EQ(ParseRef("file", "/x")->kind, Ref::Kind::file);
  EXPECT_EQ(ParseRef("env", "X")->name, "X");
  EXPECT_THAT(ParseRef("", "hunter2").error().detail, Not(HasSubstr("hunter2")));
  EXPECT_THAT(ParseRef("flie", "/x").error().detail, HasSubstr("known: env, file"));
  EXPECT_EQ(ParseRef("file", "").error().code, Errc::config_invalid);
  EXPECT_EQ(Resolve(Ref{}).error().code, Errc::config_invalid);
}

}  // namespace
}  // namespace sallyport::secrets
