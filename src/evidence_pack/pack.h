#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "evidence_pack/file.h"
#include "evidence_pack/requirements.h"
#include "evidence_pack/setup.h"

namespace sallyport::evidence_pack {

using Json = nlohmann::ordered_json;

/// One line of the register: a file and what it is evidence of.
struct Artefact {
  std::vector<std::string> requirements;
  std::string file, title, query, type;
  uint64_t population = 0;
  std::string sha256;  // known once the file is closed
  uint64_t bytes = 0;
};

/// What is said of one requirement.
struct Answer {
  Json figures = Json::object();
  std::vector<std::string> exceptions;  // what the evidence shows that should not be
  std::vector<std::string> missing;     // what there is no entry of
};

/// How far a requirement is evidenced. Never more than that.
enum class Status : uint8_t { evidenced, exceptions, part, no_entry, customer, not_applicable };
std::string_view StatusName(Status status);

/// A pack while it is put together: its period, its files, its register. Not thread-safe.
class Pack {
 public:
  struct Head {
    std::string origin, vkey, version;  // of the product
    Nanos from = 0, to = 0;             // [from, to)
    std::string config_digest;
  };

  Pack(Head head, const Setup& setup, std::filesystem::path directory, PackScan scan)
      : head_(std::move(head)),
        setup_(setup),
        directory_(std::move(directory)),
        scan_(std::move(scan)) {}

  const Head& head() const { return head_; }
  const Setup& setup() const { return setup_; }
  PackScan& scan() { return scan_; }
  /// Where temporary files may be written.
  const std::filesystem::path& directory() const { return directory_; }

  /// A new file. Valid as long as the pack.
  PackFile& Open(const std::string& name, PackFile::Kind kind = PackFile::Kind::text);
  /// A whole file at once.
  PackFile& Put(const std::string& name, std::string_view content,
                PackFile::Kind kind = PackFile::Kind::text);
  /// A JSON file with a head that says of which system and period it is.
  void PutJson(const std::string& name, const std::string& query, Json body);

  /// Registers a file as evidence. `query`: how it came about.
  void Register(std::vector<std::string> requirements, const std::string& file, std::string title,
                std::string query, uint64_t population, std::string type);
  Answer& Of(std::string_view requirement) { return answers_[std::string(requirement)]; }
  void Figure(std::initializer_list<std::string_view> requirements, const char* name, Json value);
  void Exception(std::initializer_list<std::string_view> requirements, const std::string& what);
  void Missing(std::initializer_list<std::string_view> requirements, const std::string& what);

  const std::vector<Artefact>& artefacts() const { return artefacts_; }
  Status StatusOf(const Requirement& requirement) const;
  const Answer& AnswerOf(std::string_view requirement) const;
  /// "71 of 80 …"
  std::string Summary() const;

  /// Closes all files opened so far that are not, and knows their digests from then on.
  Result<> CloseFiles();
  const std::deque<PackFile>& files() const { return files_; }

  std::string Period() const { return Moment(head_.from) + " to " + Moment(head_.to); }

 private:
  Head head_;
  const Setup& setup_;
  std::filesystem::path directory_;
  PackScan scan_;
  std::deque<PackFile> files_;
  size_t closed_ = 0;
  std::vector<Artefact> artefacts_;
  std::map<std::string, Answer> answers_;
};

}  // namespace sallyport::evidence_pack
