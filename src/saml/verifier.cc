#include "saml/verifier.h"

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "json/document.h"
#include "net/spawn.h"

namespace sallyport::saml {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostAnswer = 2 << 20;

std::unexpected<Error> Unchecked(const char* why) {
  return Fail(Errc::internal,
              std::string("The provider's answer could not be checked: ") + why + ".");
}

/// Ends with the process gone, whatever happens.
class Child {
 public:
  explicit Child(net::Spawned spawned) : spawned_(spawned) {}
  Child(const Child&) = delete;
  ~Child() {
    CloseInput();
    for (const int fd : {spawned_.output, spawned_.errors, spawned_.pidfd}) ::close(fd);
    if (reaped_) return;
    ::kill(-spawned_.pid, SIGKILL);
    ::kill(spawned_.pid, SIGKILL);
    (void)Reap();
  }

  /// Writes `question` and reads to the end of the answer.
  Result<std::string> Talk(std::string_view question, Clock::time_point deadline) {
    std::string answer;
    while (true) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return Unchecked("it took too long");
      std::array<pollfd, 3> fds{{{spawned_.output, POLLIN, 0},
                                 {spawned_.errors, POLLIN, 0},
                                 {spawned_.input, POLLOUT, 0}}};  // -1 is ignored
      if (::poll(fds.data(), fds.size(), int(left)) < 0 && errno != EINTR)
        return Unchecked("no answer");
      if (fds[2].revents != 0) Write(question);
      if (fds[1].revents != 0) Drain();
      if (fds[0].revents == 0) continue;
      std::array<char, 16384> part;
      const ssize_t n = ::read(spawned_.output, part.data(), part.size());
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n < 0) return Unchecked("no answer");
      if (n == 0) break;
      answer.append(part.data(), size_t(n));
      if (answer.size() > kMostAnswer) return Unchecked("the answer is too long");
    }
    return answer;
  }

  /// Whether it ended by itself, and well.
  bool EndedWell(Clock::time_point deadline) {
    pollfd end{spawned_.pidfd, POLLIN, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (::poll(&end, 1, int(std::max<int64_t>(left, 0))) != 1) return false;
    const int status = Reap();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  void CloseInput() {
    if (spawned_.input >= 0) ::close(std::exchange(spawned_.input, -1));
  }
  void Write(std::string_view& question) {
    const ssize_t n = ::write(spawned_.input, question.data(), question.size());
    if (n > 0) question.remove_prefix(size_t(n));
    const bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (question.empty() || (n <= 0 && !again)) CloseInput();
  }
  void Drain() {
    std::array<char, 4096> part;
    if (::read(spawned_.errors, part.data(), part.size()) == 0) {
      ::close(spawned_.errors);
      spawned_.errors = -1;
    }
  }
  int Reap() {
    int status = -1;
    while (::waitpid(spawned_.pid, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return status;
  }

  net::Spawned spawned_;
  bool reaped_ = false;
};

/// The codes that a worker may give.
Errc CodeOf(std::string_view reason) {
  for (const Errc code :
       {Errc::token_malformed, Errc::token_alg_refused, Errc::token_signature_invalid,
        Errc::token_issuer_unknown, Errc::token_audience_wrong, Errc::token_expired,
        Errc::token_not_yet_valid, Errc::state_invalid, Errc::token_claims_invalid,
        Errc::token_key_unknown, Errc::cancelled}) {
    if (ReasonCode(code) == reason) return code;
  }
  return Errc::internal;
}

/// An answer that says yes: with the texts and numbers that are read from it.
class Found {
 public:
  explicit Found(json::Value root) : root_(root) {}
  std::string Text(const char* name) {
    const auto text = root_[name].string();
    good_ = good_ && text.has_value();
    return std::string(text.value_or(""));
  }
  Nanos Time(const char* name) {
    const auto number = root_[name].integer();
    good_ = good_ && number.has_value();
    return number.value_or(0);
  }
  bool Flag(const char* name) {
    const auto flag = root_[name].boolean();
    good_ = good_ && flag.has_value();
    return flag.value_or(false);
  }
  bool good() const { return good_; }

 private:
  json::Value root_;
  bool good_ = true;
};

Result<json::Document> ReadAnswer(const std::string& text) {
  auto document =
      json::Document::Parse(text, {.max_bytes = kMostAnswer, .max_depth = 4, .max_nodes = 20'000});
  if (!document || !document->root()["ok"].boolean()) return Unchecked("no answer");
  const auto root = document->root();
  if (*root["ok"].boolean()) return document;
  const auto reason = root["reason"].string();
  if (!reason) return Unchecked("no answer");
  return Fail(CodeOf(*reason), std::string(root["detail"].string().value_or("").substr(0, 300)));
}

std::string Base64(std::string_view bytes) { return Base64Encode(AsBytes(bytes)); }

}  // namespace

Result<std::string> Verifier::Ask(std::string question) const {
  const auto deadline = Clock::now() + options_.limit;
  auto spawned = net::SpawnChild({.argv = options_.command,
                                  .environment = {},
                                  .directory = "/",
                                  .memory_limit = options_.memory_limit});
  if (!spawned) return Unchecked("its checker cannot be started");
  Child child(*spawned);
  SALLYPORT_TRY(std::string answer, child.Talk(question, deadline));
  if (!child.EndedWell(deadline)) return Unchecked("its checker has failed");
  return answer;
}

Result<Assertion> Verifier::Check(std::string_view xml, const Expected& expected) const {
  nlohmann::json question{{"op", "response"},
                          {"document", Base64(xml)},
                          {"issuer", expected.issuer},
                          {"keys", nlohmann::json::array()},
                          {"audience", expected.audience},
                          {"acs", expected.acs},
                          {"request_id", expected.request_id},
                          {"now", expected.now},
                          {"skew", expected.skew.count()}};
  for (const std::string& key : expected.keys) question["keys"].push_back(Base64(key));
  SALLYPORT_TRY(const std::string answer, Ask(question.dump()));
  SALLYPORT_TRY(const json::Document document, ReadAnswer(answer));
  Found found(document.root());
  Assertion out{.id = found.Text("id"),
                .issuer = found.Text("issuer"),
                .name_id = {.value = found.Text("name_id"),
                            .format = found.Text("name_id_format"),
                            .qualifier = found.Text("name_id_qualifier"),
                            .sp_qualifier = found.Text("name_id_sp_qualifier")},
                .session_index = found.Text("session_index"),
                .context = found.Text("context"),
                .authenticated_at = found.Time("authenticated_at"),
                .session_until = found.Time("session_until"),
                .until = found.Time("until"),
                .attributes = {}};
  const auto attributes = document.root()["attributes"];
  for (auto list = attributes.first(); list; list = list.next()) {
    auto& values = out.attributes[std::string(list.key())];
    for (auto value = list.first(); value; value = value.next())
      values.emplace_back(value.string().value_or(""));
  }
  if (!found.good() || out.id.empty() || out.name_id.value.empty() || out.issuer != expected.issuer)
    return Unchecked("the answer is about something else");
  return out;
}

Result<Logout> Verifier::CheckLogout(std::string_view message,
                                     const LogoutExpected& expected) const {
  nlohmann::json question{{"op", "logout"},
                          {"document", Base64(message)},
                          {"issuer", expected.issuer},
                          {"keys", nlohmann::json::array()},
                          {"destination", expected.destination},
                          {"signed_beside", expected.signed_beside},
                          {"now", expected.now},
                          {"skew", expected.skew.count()}};
  for (const std::string& key : expected.keys) question["keys"].push_back(Base64(key));
  SALLYPORT_TRY(const std::string answer, Ask(question.dump()));
  SALLYPORT_TRY(const json::Document document, ReadAnswer(answer));
  Found found(document.root());
  Logout out{.request = found.Flag("request"),
             .id = found.Text("id"),
             .name_id = found.Text("name_id"),
             .sessions = {},
             .in_response_to = found.Text("in_response_to"),
             .success = found.Flag("success")};
  for (auto index = document.root()["sessions"].first(); index; index = index.next())
    out.sessions.emplace_back(index.string().value_or(""));
  if (!found.good() || out.id.empty() || out.request == out.name_id.empty())
    return Unchecked("the answer is about something else");
  return out;
}

Result<Metadata> Verifier::Read(std::string_view xml, Nanos now) const {
  if (xml.size() > kMostMetadata) return Fail(Errc::token_malformed, "too large");
  const nlohmann::json question{{"op", "metadata"}, {"document", Base64(xml)}, {"now", now}};
  SALLYPORT_TRY(const std::string answer, Ask(question.dump()));
  SALLYPORT_TRY(const json::Document document, ReadAnswer(answer));
  Found found(document.root());
  Metadata out{.entity_id = found.Text("entity_id"),
               .sso_url = found.Text("sso_url"),
               .logout_url = found.Text("logout_url"),
               .logout_answer_url = found.Text("logout_answer_url"),
               .wants_signed_requests = found.Flag("wants_signed_requests"),
               .keys = {}};
  for (auto key = document.root()["keys"].first(); key; key = key.next()) {
    const auto der = Base64Decode(key.string().value_or(""));
    if (der) out.keys.emplace_back(AsText(*der));
  }
  if (!found.good() || out.entity_id.empty() || out.sso_url.empty() || out.keys.empty())
    return Unchecked("the answer is about something else");
  return out;
}

}  // namespace sallyport::saml
