#include "evidence_pack/pack.h"

#include <algorithm>

namespace sallyport::evidence_pack {

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::evidenced:
      return "evidenced automatically";
    case Status::exceptions:
      return "evidenced automatically, with exceptions";
    case Status::part:
      return "evidenced in part, a person adds to it";
    case Status::no_entry:
      return "no entry in this period";
    case Status::customer:
      return "customer's own process";
    case Status::not_applicable:
      return "not applicable";
  }
  return "customer's own process";
}

PackFile& Pack::Open(const std::string& name, PackFile::Kind kind) {
  return files_.emplace_back(name, directory_, scan_, kind);
}

PackFile& Pack::Put(const std::string& name, std::string_view content, PackFile::Kind kind) {
  PackFile& file = Open(name, kind);
  file.Write(content);
  return file;
}

void Pack::PutJson(const std::string& name, const std::string& query, Json body) {
  Json out{{"about",
            {{"system", head_.origin},
             {"from", Moment(head_.from)},
             {"to", Moment(head_.to)},
             {"query", query},
             {"generator", "sallyport " + head_.version}}}};
  out.update(body);
  Put(name, out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Pack::Register(std::vector<std::string> requirements, const std::string& file,
                    std::string title, std::string query, uint64_t population, std::string type) {
  artefacts_.push_back({std::move(requirements), file, std::move(title), std::move(query),
                        std::move(type), population, "", 0});
}

void Pack::Figure(std::initializer_list<std::string_view> requirements, const char* name,
                  Json value) {
  for (const std::string_view id : requirements) Of(id).figures[name] = value;
}

void Pack::Exception(std::initializer_list<std::string_view> requirements,
                     const std::string& what) {
  for (const std::string_view id : requirements) Of(id).exceptions.push_back(what);
}

void Pack::Missing(std::initializer_list<std::string_view> requirements, const std::string& what) {
  for (const std::string_view id : requirements) Of(id).missing.push_back(what);
}

const Answer& Pack::AnswerOf(std::string_view requirement) const {
  static const Answer kNone;
  const auto found = answers_.find(std::string(requirement));
  return found == answers_.end() ? kNone : found->second;
}

Status Pack::StatusOf(const Requirement& requirement) const {
  using enum Requirement::Automatic;
  if (requirement.split == Split::not_applicable) return Status::not_applicable;
  if (requirement.automatic == none) return Status::customer;
  const Answer& answer = AnswerOf(requirement.id);
  const bool file = std::ranges::any_of(artefacts_, [&](const Artefact& a) {
    return std::ranges::find(a.requirements, requirement.id) != a.requirements.end();
  });
  if (!file || !answer.missing.empty()) return Status::no_entry;
  if (requirement.automatic == part) return Status::part;
  return answer.exceptions.empty() ? Status::evidenced : Status::exceptions;
}

std::string Pack::Summary() const {
  std::map<Status, int> counts;
  for (const Requirement& requirement : Requirements()) ++counts[StatusOf(requirement)];
  const int automatic = counts[Status::evidenced] + counts[Status::exceptions];
  const auto n = [](int x) { return std::to_string(x); };
  return n(automatic) + " of " + n(int(Requirements().size())) +
         " sub-requirements evidenced automatically (" + n(counts[Status::exceptions]) +
         " of them with exceptions), " + n(counts[Status::part]) +
         " in part with a person's task, " + n(counts[Status::no_entry]) +
         " without an entry in this period, " + n(counts[Status::customer]) +
         " are the customer's own process, " + n(counts[Status::not_applicable]) + " do not apply";
}

Result<> Pack::CloseFiles() {
  for (; closed_ < files_.size(); ++closed_) {
    PackFile& file = files_[closed_];
    SALLYPORT_CHECK(file.Close());
    scan_.Know(file.packed().sha256());
    for (Artefact& artefact : artefacts_) {
      if (artefact.file != file.name()) continue;
      artefact.sha256 = file.packed().sha256();
      artefact.bytes = file.packed().size();
    }
  }
  return {};
}

}  // namespace sallyport::evidence_pack
