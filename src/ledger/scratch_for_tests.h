#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>

#include "ledger/writer.h"

namespace sallyport::ledger {

/// A directory that goes away with the test.
class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& under = std::filesystem::temp_directory_path()) {
    std::string name = (under / "sallyport-ledger-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string ReadText(const std::string& name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void WriteText(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

/// One that is in memory, where the system has such a place.
class MemoryScratch : public Scratch {
 public:
  MemoryScratch()
      : Scratch(std::filesystem::is_directory("/dev/shm")
                    ? std::filesystem::path("/dev/shm")
                    : std::filesystem::temp_directory_path()) {}
};

inline Options TestOptions(const std::filesystem::path& dir) {
  Options options;
  options.data_dir = dir;
  options.origin = "gate.example.com/test";
  options.signing_key = Secret(std::string(32, 'k'));
  options.checkpoint_interval = std::chrono::milliseconds(20);
  options.segment_bytes = 1 << 20;
  return options;
}
inline Options TestOptions(const Scratch& dir) { return TestOptions(dir.path()); }

}  // namespace sallyport::ledger
