#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "ledger/checkpoint.h"
#include "ledger/reader.h"

namespace sallyport::ledger {

/// The files of a log in memory.
class Image final : public LogFiles {
 public:
  Result<std::string> Read(const std::string& name) const override;
  Result<std::vector<std::string>> List() const override;

  std::map<std::string, std::string> files;
};

/// Changes a log in the ways of docs/formats/log.md, "What is detected". The attacker holds every
/// file and recomputes all hashes, but does not have the signing key.
class Tamperer {
 public:
  explicit Tamperer(uint64_t seed);

  static constexpr int kClasses = 13;
  static const char* ClassName(int kind);
  /// Found only by someone who remembers a checkpoint.
  static bool NeedsMemory(int kind) { return kind == kRollback || kind == kFork; }

  const Image& honest() const { return honest_; }
  const std::string& vkey() const { return signer_.vkey(); }
  /// A checkpoint that an honest outsider remembers: of the honest log.
  const std::string& remembered() const { return honest_.files.at("checkpoint"); }
  const std::vector<std::string>& older_checkpoints() const { return older_; }

  /// A changed copy; never equal to the honest log.
  Image Mutate(int kind);

 private:
  enum Kind : int {
    kBundleBit,
    kCheckpointBit,
    kEdit,
    kDelete,
    kSwap,
    kInsert,
    kDuplicate,
    kCut,
    kRollback,
    kZeroSector,
    kMoveByte,
    kFork,
    kAnyFile
  };
  Image Build(const std::vector<std::string>& entries, const std::string& note) const;
  Image Rebuild(const std::vector<std::string>& entries) const;
  std::string Sign(const std::vector<std::string>& entries) const;
  Image MutateEntries(int kind);
  Image MutateAnyFile();
  size_t Below(size_t n) { return size_t(random_() % n); }
  void FlipBit(std::string& bytes);

  std::mt19937_64 random_;
  NoteSigner signer_;
  std::vector<std::string> entries_;
  std::vector<std::string> older_;  // signed checkpoints of smaller sizes
  std::vector<size_t> older_sizes_;
  Image honest_;
};

/// Counts of one class.
struct TamperCount {
  uint64_t tried = 0;
  uint64_t missed = 0;  // verified without a remembered checkpoint
  uint64_t missed_with_memory = 0;
};

/// `n` mutations, the classes in turn; each is verified without and with a remembered checkpoint.
std::vector<TamperCount> RunTamper(uint64_t n, uint64_t seed);

/// Verifies `n` honest logs of 0 to 700 entries: as a process leaves them that publishes, that died
/// while it did, that was watched by witnesses or by someone who remembers. Returns how many were
/// refused: false alarms.
uint64_t RunHonest(uint64_t n, uint64_t seed);

}  // namespace sallyport::ledger
