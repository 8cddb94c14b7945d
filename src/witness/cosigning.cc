#include "witness/cosigning.h"

#include <algorithm>
#include <map>
#include <pthread.h>
#include <utility>

#include "ledger/file.h"
#include "ledger/lines.h"
#include "ledger/note.h"
#include "ledger/reader.h"
#include "ledger/tree.h"
#include "obs/log.h"
#include "witness/submission.h"
#include "witness/witness.h"

namespace sallyport::witness {
namespace {

constexpr size_t kMostRounds = 64;
constexpr size_t kMaxAnswerBytes = 64 << 10;
constexpr std::chrono::seconds kAnswerWithin{10};

double Seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

std::string PolicyText(const Config& config, const std::string& log_key) {
  std::string text = "log " + log_key + '\n';
  std::map<std::string, std::vector<std::string>> operators;
  for (size_t i = 0; i < config.peers.size(); ++i) {
    const Peer& peer = config.peers[i];
    const std::string name = "witness-" + std::to_string(i + 1);
    text += "witness " + name + ' ' + peer.key + ' ' + peer.url + '\n';
    operators[peer.operated_by.empty() ? name : peer.operated_by].push_back(name);
  }
  std::string all;
  size_t number = 0;
  for (const auto& [who, members] : operators) {
    const std::string group = "operator-" + std::to_string(++number);
    text += "# " + group + ": " + who + '\n' + "group " + group + " any";
    for (const std::string& member : members) text += ' ' + member;
    text += '\n';
    all += ' ' + group;
  }
  const uint64_t need = config.quorum == 0 ? operators.size() : config.quorum;
  return text + "group operators " + std::to_string(need) + all + "\nquorum operators\n";
}

Result<std::unique_ptr<Cosigning>> Cosigning::Start(Options options) {
  const std::string text = PolicyText(options.config, options.log_key);
  SALLYPORT_TRY(Policy policy, Policy::Parse(text));
  std::unique_ptr<Cosigning> out(new Cosigning(std::move(options), std::move(policy)));
  const auto dir = out->options_.data_dir / "witness";
  SALLYPORT_CHECK(ledger::MakeDirectories(dir));
  SALLYPORT_CHECK(ledger::ReplaceFile(dir / "policy", text));
  for (const Peer& peer : out->options_.config.peers) {
    SALLYPORT_TRY(auto verifier, ledger::CosignatureVerifier::Make(peer.key));
    out->asked_.push_back(std::make_unique<Asked>(peer, std::move(verifier)));
    out->asked_.back()->at = out->started_;
  }
  Cosigning* const self = out.get();
  out->threads_.emplace_back([self](const std::stop_token& stop) { self->Watch(stop); });
  for (const auto& asked : out->asked_) {
    out->threads_.emplace_back(
        [self, one = asked.get()](const std::stop_token& stop) { self->Ask(*one, stop); });
  }
  return out;
}

Cosigning::Cosigning(Options options, Policy policy)
    : options_(std::move(options)),
      policy_(std::move(policy)),
      started_(std::chrono::steady_clock::now()) {}
Cosigning::~Cosigning() { Stop(); }

void Cosigning::Finish(std::chrono::milliseconds most) {
  const auto end = std::chrono::steady_clock::now() + most;
  const ledger::LogDirectory files(options_.data_dir / "log");
  const Result<std::string> note = files.Read("checkpoint");
  const auto head = note ? ledger::PeekCheckpoint(*note)
                         : Result<ledger::Checkpoint>(std::unexpected(note.error()));
  while (head && status().size < head->size && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  Stop();
}

void Cosigning::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

/// Takes the published head every interval; one that has not changed only so often that the
/// witnesses' word stays fresh.
void Cosigning::Watch(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "witness-watch");
  const ledger::LogDirectory files(options_.data_dir / "log");
  const auto refresh = std::max(options_.config.within / 3, options_.config.interval);
  uint64_t size = ~uint64_t(0);
  Time at{};
  while (!stop.stop_requested()) {
    const auto now = std::chrono::steady_clock::now();
    const Result<std::string> note = files.Read("checkpoint");
    const auto head = note ? ledger::PeekCheckpoint(*note)
                           : Result<ledger::Checkpoint>(std::unexpected(note.error()));
    if (head && (head->size != size || now - at >= refresh)) {
      size = head->size;
      at = now;
      const std::lock_guard lock(mutex_);
      // Without the cosignatures that the published note may have: they are asked for again.
      const size_t behind_text = note->rfind("\n\n") + 2;
      const size_t end = note->find('\n', behind_text);
      rounds_.push_back({++round_, *head, note->substr(0, end + 1), {}});
      if (rounds_.size() > kMostRounds) rounds_.pop_front();
      wake_.notify_all();
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, options_.config.interval, [] { return false; });
  }
}

void Cosigning::Ask(Asked& asked, const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "witness-ask");
  uint64_t done = 0;
  while (!stop.stop_requested()) {
    Round round;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return round_ > done; })) return;
      round = rounds_.back();
    }
    done = round.number;
    const Result<std::string> line = Submit(asked, round, stop);
    if (stop.stop_requested()) return;
    if (line) Take(asked, round.number, *line);
    std::unique_lock lock(mutex_);
    const std::string problem = line ? std::string() : line.error().detail;
    if (const std::string before = std::exchange(asked.problem, problem); problem != before) {
      obs::Log(line ? obs::Level::info : obs::Level::warn,
               line ? "witness.cosigns" : "witness.not_cosigned",
               {{"witness", asked.peer.name}, {"detail", problem}});
    }
    if (!line) {
      wake_.wait_for(lock, stop, options_.config.interval, [] { return false; });
      continue;
    }
    asked.size = round.head.size;
    asked.at = std::chrono::steady_clock::now();
  }
}

FetchRequest Cosigning::RequestTo(const Peer& peer, const std::stop_token& stop) const {
  FetchRequest request;
  request.ca_file = peer.ca_file;
  request.allow_addresses = peer.allow_addresses;
  request.allow_loopback_http = peer.allow_loopback_http;
  request.max_body = kMaxAnswerBytes;
  request.timeout = kAnswerWithin;
  request.stop = stop;
  return request;
}

Result<std::string> Cosigning::Submit(Asked& asked, const Round& round,
                                      const std::stop_token& stop) {
  const ledger::LogDirectory files(options_.data_dir / "log");
  const uint64_t size = round.head.size;
  for (int attempt = 0; attempt < 2; ++attempt) {
    Submission submission{.old_size = asked.known, .note = round.note};
    if (asked.known > 0 && asked.known < size) {
      SALLYPORT_TRY(submission.proof,
                    ledger::ConsistencyProof(asked.known, size, ledger::TileSubtrees(files, size)));
    }
    FetchRequest request = RequestTo(asked.peer, stop);
    request.url = asked.peer.url + "/add-checkpoint";
    request.method = "POST";
    request.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
    request.body = FormatSubmission(submission);
    SALLYPORT_TRY(const FetchResponse response, options_.fetch(request));
    if (response.status == 200) return Accepted(asked, round, response.body);
    if (response.status == 422) {
      LookInto(asked, stop);
      return Fail(Errc::upstream_protocol,
                  "says that this log does not continue what it has cosigned");
    }
    std::string_view body = response.body;
    const auto line = response.status == 409 ? ledger::TakeLine(body) : std::nullopt;
    const auto theirs = line ? ledger::ParseDecimal(*line) : std::nullopt;
    if (!theirs)
      return Fail(Errc::upstream_protocol, "answered " + std::to_string(response.status));
    if (*theirs > size) {
      LookInto(asked, stop);
      return Fail(Errc::upstream_protocol, "has cosigned " + std::to_string(*theirs) +
                                               " entries, this log has " + std::to_string(size));
    }
    asked.known = *theirs;
  }
  return Fail(Errc::upstream_protocol, "does not say twice what it has cosigned");
}

/// The witness's line out of its answer, verified.
Result<std::string> Cosigning::Accepted(const Asked& asked, const Round& round,
                                        const std::string& body) {
  const std::string note = round.note + body;
  SALLYPORT_TRY(const ledger::Note parsed, ledger::ParseNote(note));
  for (const ledger::NoteSignature& signature : parsed.signatures) {
    const Result<uint64_t> at = asked.verifier.Open(parsed.text, signature);
    if (!at && at.error().code == Errc::not_found) continue;
    if (!at) return std::unexpected(at.error());
    return std::string(signature.line);
  }
  return Fail(Errc::upstream_protocol, "answered without a cosignature of its key");
}

void Cosigning::Take(Asked& asked, uint64_t number, const std::string& line) {
  const std::lock_guard lock(mutex_);
  const auto round = std::ranges::find(rounds_, number, &Round::number);
  if (round == rounds_.end()) return;
  asked.known = round->head.size;
  round->lines += line;
  if (round->head.size < met_size_) return;
  const std::string note = round->note + round->lines;
  const auto verdict = policy_.Check(note);
  if (!verdict || !verdict->quorum) return;
  if (const auto kept =
          ledger::ReplaceFile(options_.data_dir / "log" / "checkpoint.cosigned", note);
      !kept) {
    obs::Log(obs::Level::error, "witness.not_kept", {{"detail", kept.error().detail}});
    return;
  }
  met_at_ = std::chrono::steady_clock::now();
  met_size_ = round->head.size;
  if (options_.cosigned) options_.cosigned(round->head, note);
}

/// What a witness says against this log is looked into: only a head that this log's key has signed
/// and that this log does not contain is more than its word.
void Cosigning::LookInto(const Asked& asked, const std::stop_token& stop) {
  const auto own = ledger::NoteVerifier::Make(options_.log_key);
  if (!own) return;
  FetchRequest request = RequestTo(asked.peer, stop);
  request.url = asked.peer.url + '/' + OriginHash(own->name()) + "/checkpoint";
  const auto response = options_.fetch(request);
  if (!response || response->status != 200) return;
  const auto theirs = own->OpenCheckpoint(response->body);
  if (!theirs || Contains(*theirs)) return;
  const std::lock_guard lock(mutex_);
  if (!diverged_.empty()) return;
  diverged_ = asked.peer.name + " has a head of " + std::to_string(theirs->size) +
              " entries, signed by this log's key, that this log does not contain: it was rolled "
              "back, or there are two of it";
  const std::string file = "witness/diverged-" + std::to_string(theirs->size) + ".txt";
  const auto kept = ledger::ReplaceFile(options_.data_dir / file, response->body);
  obs::Log(obs::Level::error, "witness.diverged",
           {{"witness", asked.peer.name},
            {"size", theirs->size},
            {"proof", kept ? file : kept.error().detail}});
}

/// Whether `head` is this log, now or before; also where that cannot be read.
bool Cosigning::Contains(const ledger::Checkpoint& head) const {
  const ledger::LogDirectory files(options_.data_dir / "log");
  const Result<std::string> note = files.Read("checkpoint");
  if (!note) return true;
  const auto now = ledger::PeekCheckpoint(*note);
  if (!now) return true;
  if (head.size > now->size) return false;
  const auto root = ledger::RootAt(head.size, ledger::TileSubtrees(files, now->size));
  return !root || *root == head.root;
}

Cosigning::Status Cosigning::status() const {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  Status status;
  status.first = met_at_.has_value();
  status.size = met_size_;
  status.age_seconds = Seconds(now - met_at_.value_or(started_));
  status.diverged = !diverged_.empty();
  std::string missing;
  for (const auto& asked : asked_) {
    status.peers.push_back(
        {asked->peer.name, asked->size, Seconds(now - asked->at), asked->problem});
    if (!asked->problem.empty())
      missing += (missing.empty() ? "" : "; ") + asked->peer.name + ": " + asked->problem;
  }
  status.met = !status.diverged && now - met_at_.value_or(started_) <= options_.config.within;
  if (status.diverged) {
    status.why = diverged_;
  } else if (!status.met) {
    status.why = "no quorum of witnesses for " + std::to_string(int64_t(status.age_seconds)) +
                 " s" + (missing.empty() ? "" : ": " + missing);
  }
  return status;
}

}  // namespace sallyport::witness
