#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sys/resource.h>
#include <thread>

#include "recording/chunks.h"
#include "recording/files.h"
#include "recording/reader.h"
#include "recording/store.h"

// Only the masking engine makes what may be recorded; it is a module beside this one, so the tests
// have their own.
namespace sallyport::mask {
class Seal {
 public:
  static MaskedText Make(std::string text) { return MaskedText(std::move(text)); }
};
}  // namespace sallyport::mask

namespace sallyport::recording {
namespace {

namespace fs = std::filesystem;
constexpr char kOrigin[] = "gate.example.com/test";
constexpr Nanos kSecond = 1'000'000'000, kDay = 86'400 * kSecond;

class TestClock final : public Clock {
 public:
  Nanos WallNow() const override { return now; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return {}; }
  Nanos now = Nanos(1'795'000'000) * kSecond;  // 2026-11-18
};

Key KeyOf(char c) { return Key(AsBytes(std::string(32, c))); }

class RecordingTest : public testing::Test {
 protected:
  RecordingTest() {
    std::string name = (fs::temp_directory_path() / "sallyport-recording-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
    dir_ = root_ / "recordings";
  }
  ~RecordingTest() override { fs::remove_all(root_); }

  Store::Options Options(char kek = 'k') const {
    Store::Options options{.dir = dir_, .origin = kOrigin};
    options.keks.push_back(KeyOf(kek));
    return options;
  }
  std::unique_ptr<Store> OpenStore(char kek = 'k') {
    auto store = Store::Open(Options(kek), clock_);
    EXPECT_TRUE(store) << store.error().detail;
    return store ? std::move(*store) : nullptr;
  }
  Reader MakeReader(char kek = 'k', const char* origin = kOrigin) const {
    return Reader(dir_, origin, {KeyOf(kek)});
  }
  op::Blob Put(Store& store, const std::string& session, const std::string& text) {
    auto blob = store.Put(session, mask::Seal::Make(text), true);
    EXPECT_TRUE(blob) << blob.error().detail;
    return blob.value_or(op::Blob{});
  }
  fs::path FileOf(const op::Blob& blob) const { return dir_ / (blob.recording + ".rec"); }
  std::string Text(const fs::path& path) const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Write(const fs::path& path, const std::string& bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  void Flip(const fs::path& path, size_t at) const {
    std::string bytes = Text(path);
    ASSERT_LT(at, bytes.size());
    bytes[at] ^= 1;
    Write(path, bytes);
  }
  Errc CodeOf(const op::Blob& blob, char kek = 'k') const {
    auto opened = MakeReader(kek).Open(blob);
    return opened ? Errc::internal : opened.error().code;  // internal: it opened
  }

  fs::path root_, dir_;
  TestClock clock_;
};

TEST_F(RecordingTest, WhatIsPutIsReadByAnother) {
  auto store = OpenStore();
  const std::string large(3 * kChunkBytes + 17, 'x');
  const op::Blob a = Put(*store, "s_one", R"({"a":1})"), b = Put(*store, "s_two", large);
  EXPECT_EQ(a.recording, "2026-11-18/0001");
  EXPECT_EQ(a.chunks, 1u);
  EXPECT_EQ(b.chunks, 4u);
  EXPECT_EQ(b.offset, a.length);
  EXPECT_NE(a.key, b.key);
  ASSERT_TRUE(store->Sync());
  Reader reader = MakeReader();
  const auto opened = reader.Open(a);
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(opened->text, R"({"a":1})");
  EXPECT_TRUE(opened->json);
  EXPECT_EQ(opened->session, "s_one");
  EXPECT_EQ(reader.Open(b)->text, large);
  EXPECT_EQ(Text(FileOf(a)).find("\"a\":1"), std::string::npos);
  EXPECT_EQ(Text(FileOf(a)).find("xxxx"), std::string::npos);
  // Another process on the same day goes on in another file, with the same day key.
  store = OpenStore();
  const op::Blob c = Put(*store, "s_one", "again");
  EXPECT_EQ(c.recording, "2026-11-18/0002");
  EXPECT_NE(c.key, a.key);
  EXPECT_EQ(MakeReader().Open(c)->text, "again");
  EXPECT_EQ(MakeReader().Open(a)->text, R"({"a":1})");
}

TEST_F(RecordingTest, WithoutTheKeyBytesAreStillChecked) {
  const op::Blob blob = Put(*OpenStore(), "s_one", "text");
  Reader reader(dir_, kOrigin);
  EXPECT_TRUE(reader.Bytes(blob));
  EXPECT_EQ(reader.Open(blob).error().code, Errc::recording_unavailable);
  EXPECT_EQ(CodeOf(blob, 'o'), Errc::recording_unavailable);
  EXPECT_FALSE(MakeReader('k', "other.example/log").Open(blob));  // of another log
  Flip(FileOf(blob), kChunkHead + 1);
  EXPECT_EQ(Reader(dir_, kOrigin).Bytes(blob).error().code, Errc::recording_damaged);
}

TEST_F(RecordingTest, EveryFlippedByteIsFound) {
  const op::Blob blob = Put(*OpenStore(), "s_one", "what was seen");
  const std::string bytes = Text(FileOf(blob));
  for (size_t at = 0; at < bytes.size(); ++at) {
    Flip(FileOf(blob), at);
    EXPECT_EQ(CodeOf(blob), Errc::recording_damaged) << at;
    Write(FileOf(blob), bytes);
  }
  EXPECT_EQ(CodeOf(blob), Errc::internal);
}

TEST_F(RecordingTest, EveryFlippedByteOfAKeyIsFound) {
  const op::Blob blob = Put(*OpenStore(), "s_one", "what was seen");
  for (const std::string_view name : {kDayKeyName, kSessionKeysName}) {
    const fs::path path = dir_ / "2026-11-18" / name;
    const std::string bytes = Text(path);
    for (size_t at = 0; at < bytes.size(); ++at) {
      Flip(path, at);
      EXPECT_NE(CodeOf(blob), Errc::internal) << name << " " << at;
      Write(path, bytes);
    }
  }
  EXPECT_EQ(CodeOf(blob), Errc::internal);
}

/// The chunks themselves, without the digest that the log holds.
class ChunksTest : public testing::Test {
 protected:
  static constexpr size_t kWhole = kChunkHead + kChunkBytes + Gcm::kTag;
  std::string Seal(uint64_t stream, const std::string& text, std::string_view session = "s_one") {
    std::string out;
    SealChunks(gcm_, {kOrigin, session}, stream, text, out);
    return out;
  }
  bool Opens(std::string_view sealed, std::string_view session = "s_one") {
    return OpenChunks(gcm_, {kOrigin, session}, sealed).has_value();
  }
  Gcm gcm_{KeyOf('s')};
  const std::string long_ = std::string(kChunkBytes, 'a') + std::string(kChunkBytes, 'b') + "c";
};

TEST_F(ChunksTest, NothingIsMovedDroppedOrCut) {
  const std::string sealed = Seal(1, long_);
  ASSERT_TRUE(Opens(sealed));
  EXPECT_EQ(*CountChunks(sealed), 3u);
  const std::string first = sealed.substr(0, kWhole), second = sealed.substr(kWhole, kWhole),
                    last = sealed.substr(2 * kWhole);
  EXPECT_FALSE(Opens(second + first + last));  // reordered
  EXPECT_FALSE(Opens(first + last));           // dropped
  EXPECT_FALSE(Opens(second + last));
  EXPECT_FALSE(Opens(first + second));  // the end cut
  EXPECT_FALSE(Opens(first));
  EXPECT_FALSE(Opens(""));
  EXPECT_FALSE(Opens(sealed + last));  // something behind the end
  EXPECT_FALSE(Opens(first + first + second + last));
  for (size_t n = 0; n < sealed.size(); n += 997) EXPECT_FALSE(Opens(sealed.substr(0, n))) << n;
}

TEST_F(ChunksTest, NoChunkIsOfAnotherRecording) {
  const std::string one = Seal(1, long_), two = Seal(2, long_);
  EXPECT_NE(one.substr(kChunkHead, 64), two.substr(kChunkHead, 64));  // another nonce
  EXPECT_FALSE(Opens(one.substr(0, kWhole) + two.substr(kWhole)));
  EXPECT_FALSE(Opens(Seal(1, "x", "s_two")));
  std::string end = one.substr(0, kWhole);  // made to look like the last
  end[8] = char(end[8] | 0x80);
  EXPECT_FALSE(Opens(end));
  Gcm other(KeyOf('t'));
  EXPECT_FALSE(OpenChunks(other, {kOrigin, "s_one"}, one));
  EXPECT_FALSE(OpenChunks(gcm_, {"other.example", "s_one"}, one));
}

TEST_F(RecordingTest, RecordingsOfTwoSessionsAreNotExchanged) {
  auto store = OpenStore();
  op::Blob a = Put(*store, "s_one", "alpha"), b = Put(*store, "s_two", "bravo");
  std::string bytes = Text(FileOf(a));
  Write(FileOf(a), bytes.substr(a.length) + bytes.substr(0, a.length));
  EXPECT_EQ(CodeOf(a), Errc::recording_damaged);
  EXPECT_EQ(CodeOf(b), Errc::recording_damaged);
  Write(FileOf(a), bytes);
  std::swap(a.key, b.key);  // the other's key
  EXPECT_EQ(CodeOf(a), Errc::recording_damaged);
}

TEST_F(RecordingTest, NoNonceTwiceUnderOneKey) {
  auto store = OpenStore();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        EXPECT_TRUE(store->Put("s_one", mask::Seal::Make(std::to_string(i)), true));
    });
  }
  for (std::thread& t : threads) t.join();
  std::string bytes = Text(dir_ / "2026-11-18/0001.rec");
  std::set<std::string> streams;
  size_t count = 0;
  for (std::string_view rest = bytes; !rest.empty(); ++count) {
    streams.emplace(rest.substr(0, 12));
    rest.remove_prefix(kChunkHead + LoadBe32(AsBytes(rest).data() + 12) + Gcm::kTag);
  }
  EXPECT_EQ(count, 800u);
  EXPECT_EQ(streams.size(), 800u);
}

TEST_F(RecordingTest, MissingCutAndForeignNames) {
  op::Blob blob = Put(*OpenStore(), "s_one", "text");
  const std::string bytes = Text(FileOf(blob));
  Write(FileOf(blob), bytes.substr(0, bytes.size() - 1));
  EXPECT_EQ(CodeOf(blob), Errc::recording_damaged);
  fs::remove(FileOf(blob));
  EXPECT_EQ(CodeOf(blob), Errc::recording_damaged);
  for (const char* name : {"", "../../etc/passwd", "2026-11-18/../0001", "2026-13-18/0001",
                           "2026-11-18/", "2026-11-18/00001x"}) {
    blob.recording = name;
    EXPECT_EQ(CodeOf(blob), Errc::recording_damaged) << name;
  }
}

TEST_F(RecordingTest, AnotherKekIsRefusedAtTheStart) {
  Put(*OpenStore(), "s_one", "text");
  const auto other = Store::Open(Options('o'), clock_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::recording_unavailable);
  EXPECT_NE(other.error().detail.find("evidence.encrypt.kek"), std::string::npos);
  clock_.now += kDay;  // also on a later day
  EXPECT_FALSE(Store::Open(Options('o'), clock_));
}

TEST_F(RecordingTest, TodaysMissingKeyIsRefusedAnEarlierOneIsNot) {
  Put(*OpenStore(), "s_one", "text");
  fs::remove(dir_ / "2026-11-18/day.key");
  EXPECT_FALSE(Store::Open(Options(), clock_));
  clock_.now += kDay;
  auto store = OpenStore();
  ASSERT_TRUE(store);
  const op::Blob blob = Put(*store, "s_one", "text");
  EXPECT_EQ(blob.recording, "2026-11-19/0001");
  EXPECT_EQ(CodeOf(blob), Errc::internal);
}

TEST_F(RecordingTest, ADayEndsWhileTheStoreIsOpen) {
  std::vector<std::string> made;
  auto options = Options();
  options.on_key = [&](const std::string& day, const std::string&) -> Result<> {
    made.push_back(day);
    return {};
  };
  auto opened = Store::Open(std::move(options), clock_);
  ASSERT_TRUE(opened);
  Store& store = **opened;
  const op::Blob a = Put(store, "s_one", "before");
  clock_.now += kDay;
  const op::Blob b = Put(store, "s_one", "after");
  EXPECT_TRUE(store.Sync());
  EXPECT_EQ(made, (std::vector<std::string>{"2026-11-18", "2026-11-19"}));
  EXPECT_NE(a.key, b.key);
  EXPECT_EQ(MakeReader().Open(a)->text, "before");
  EXPECT_EQ(MakeReader().Open(b)->text, "after");
}

TEST_F(RecordingTest, AKeyThatIsNotRecordedIsNotUsed) {
  auto options = Options();
  options.on_key = [](const std::string&, const std::string&) -> Result<> {
    return Fail(Errc::ledger_unavailable);
  };
  auto store = Store::Open(std::move(options), clock_);
  ASSERT_TRUE(store);
  EXPECT_FALSE((*store)->Put("s_one", mask::Seal::Make("x"), true));
  EXPECT_FALSE(fs::exists(dir_ / "2026-11-18/day.key"));
  EXPECT_FALSE((*store)->healthy());
}

TEST_F(RecordingTest, ASessionIsShredded) {
  auto store = OpenStore();
  const op::Blob a = Put(*store, "s_one", "alpha"), b = Put(*store, "s_two", "bravo");
  const std::string before = Text(dir_ / "2026-11-18/sessions.keys");
  ASSERT_TRUE(store->DestroySessions("2026-11-18", {a.key}));
  EXPECT_EQ(CodeOf(a), Errc::recording_destroyed);
  EXPECT_EQ(CodeOf(b), Errc::internal);
  EXPECT_TRUE(Reader(dir_, kOrigin).Bytes(a));  // the bytes still prove that it is the one
  EXPECT_EQ(Text(dir_ / "2026-11-18/sessions.keys").find(before.substr(60, 32)), std::string::npos);
  const op::Blob c = Put(*store, "s_one", "goes on");  // with another key
  EXPECT_EQ(CodeOf(c), Errc::internal);
  EXPECT_EQ(CodeOf(a), Errc::recording_destroyed);
}

TEST_F(RecordingTest, ADayIsShreddedButNotToday) {
  auto store = OpenStore();
  const op::Blob a = Put(*store, "s_one", "alpha");
  EXPECT_FALSE(store->DestroyDay("2026-11-18"));
  EXPECT_FALSE(store->DestroyDay("../../x"));
  clock_.now += kDay;
  const op::Blob b = Put(*store, "s_one", "bravo");
  ASSERT_TRUE(store->DestroyDay("2026-11-18"));
  EXPECT_FALSE(fs::exists(dir_ / "2026-11-18"));
  EXPECT_NE(CodeOf(a), Errc::internal);
  EXPECT_EQ(CodeOf(b), Errc::internal);
  EXPECT_TRUE(store->Sync());
}

TEST_F(RecordingTest, AnArchivedDayIsReadAndShreddedThere) {
  auto store = OpenStore();
  const op::Blob a = Put(*store, "s_one", "alpha");
  clock_.now += kDay;
  Put(*store, "s_one", "bravo");
  ASSERT_TRUE(store->Archive("2026-11-18", root_ / "cold"));
  EXPECT_TRUE(fs::exists(root_ / "cold/2026-11-18/0001.rec"));
  EXPECT_EQ(CodeOf(a), Errc::internal);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), {}), 2);  // nothing is left of the move
  ASSERT_TRUE(store->Archive("2026-11-18", root_ / "cold"));      // again
  // A process that died between the exchange and the end of the move.
  fs::copy(root_ / "cold/2026-11-18", dir_ / "2026-11-18.moved");
  ASSERT_TRUE(store->FinishMoves());
  EXPECT_FALSE(fs::exists(dir_ / "2026-11-18.moved"));
  EXPECT_EQ(CodeOf(a), Errc::internal);
  ASSERT_TRUE(store->DestroyDay("2026-11-18"));
  EXPECT_FALSE(fs::exists(root_ / "cold/2026-11-18"));
  EXPECT_FALSE(fs::exists(fs::symlink_status(dir_ / "2026-11-18")));
}

TEST_F(RecordingTest, AnotherKekWrapsAndNothingElseChanges) {
  const op::Blob a = Put(*OpenStore('k'), "s_one", "alpha");
  const std::string bytes = Text(FileOf(a));
  auto options = Options('n');
  options.keks.push_back(KeyOf('k'));
  auto store = Store::Open(std::move(options), clock_);
  ASSERT_TRUE(store);
  EXPECT_EQ(*(*store)->Rewrap(), 1u);
  EXPECT_EQ(*(*store)->Rewrap(), 0u);
  EXPECT_EQ(Text(FileOf(a)), bytes);
  EXPECT_EQ(CodeOf(a, 'n'), Errc::internal);
  EXPECT_EQ(CodeOf(a, 'k'), Errc::recording_unavailable);
}

TEST_F(RecordingTest, WhatCannotBeWrittenStopsTheStore) {
  auto store = OpenStore();
  Put(*store, "s_one", "fits");
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused = store->Put("s_one", mask::Seal::Make(std::string(8192, 'x')), true);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::recording_unavailable);
  EXPECT_FALSE(store->healthy());
  EXPECT_FALSE(store->Put("s_one", mask::Seal::Make("y"), true));  // for good
  EXPECT_FALSE(store->Sync());
}

TEST_F(RecordingTest, AKeysFileThatAPowerCutLeftIsUsed) {
  const op::Blob a = Put(*OpenStore(), "s_one", "alpha");
  const fs::path keys = dir_ / "2026-11-18/sessions.keys";
  Write(keys, Text(keys) + std::string(50, '\0'));
  auto store = OpenStore();
  const op::Blob b = Put(*store, "s_one", "bravo");
  EXPECT_EQ(CodeOf(a), Errc::internal);
  EXPECT_EQ(CodeOf(b), Errc::internal);
}

TEST(KekTest, ReadsBase64AndHexadecimal) {
  const Key key = KeyOf('k');
  for (const std::string& text :
       {Base64Encode(key.bytes()), Base64UrlEncode(key.bytes()) + "\n", HexEncode(key.bytes())}) {
    const auto read = Key::Read(Secret(text));
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(KekId(*read), KekId(key));
  }
  for (const char* text : {"", "short", "AAAA", "zz"})
    EXPECT_FALSE(Key::Read(Secret(text))) << text;
}

TEST(DayTest, OnlyRealDays) {
  EXPECT_EQ(DayOf(*BeginOfDay("2026-11-22")), "2026-11-22");
  for (const char* text : {"2026-02-30", "2026-1-1", "26-11-22", "2026-11-22x", "", "1969-12-31"})
    EXPECT_FALSE(BeginOfDay(text)) << text;
}

}  // namespace
}  // namespace sallyport::recording
