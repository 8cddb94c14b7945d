#include "saml/worker.h"

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "json/document.h"
#include "saml/logout.h"
#include "saml/metadata.h"
#include "saml/redirect.h"
#include "saml/response.h"
#include "saml/sandbox.h"
#include "saml/signature.h"

namespace sallyport::saml {
namespace {

using nlohmann::json;

constexpr size_t kMostQuestion = 2 << 20;
constexpr rlim_t kCpuSeconds = 5;

std::string No(const Error& error) {
  return json{{"ok", false}, {"reason", ReasonCode(error.code)}, {"detail", error.detail}}.dump(
      -1, ' ', true, json::error_handler_t::replace);
}

std::string Base64(const std::string& bytes) { return Base64Encode(AsBytes(bytes)); }

std::string Yes(const Metadata& found) {
  json keys = json::array();
  for (const std::string& key : found.keys) keys.push_back(Base64(key));
  return json{{"ok", true},
              {"entity_id", found.entity_id},
              {"sso_url", found.sso_url},
              {"logout_url", found.logout_url},
              {"logout_answer_url", found.logout_answer_url},
              {"wants_signed_requests", found.wants_signed_requests},
              {"keys", std::move(keys)}}
      .dump();
}

std::string Yes(const Assertion& found) {
  return json{{"ok", true},
              {"id", found.id},
              {"issuer", found.issuer},
              {"name_id", found.name_id.value},
              {"name_id_format", found.name_id.format},
              {"name_id_qualifier", found.name_id.qualifier},
              {"name_id_sp_qualifier", found.name_id.sp_qualifier},
              {"session_index", found.session_index},
              {"context", found.context},
              {"authenticated_at", found.authenticated_at},
              {"session_until", found.session_until},
              {"until", found.until},
              {"attributes", found.attributes}}
      .dump();
}

std::string Yes(const Logout& found) {
  return json{{"ok", true},
              {"request", found.request},
              {"id", found.id},
              {"name_id", found.name_id},
              {"sessions", found.sessions},
              {"in_response_to", found.in_response_to},
              {"success", found.success}}
      .dump();
}

Result<std::vector<std::string>> ReadKeys(sallyport::json::Value root) {
  std::vector<std::string> out;
  for (auto key = root["keys"].first(); key; key = key.next()) {
    const auto der = Base64Decode(key.string().value_or(""));
    if (!der) return Fail(Errc::request_malformed, "keys");
    out.emplace_back(AsText(*der));
  }
  return out;
}

Result<Expected> ReadExpected(sallyport::json::Value root) {
  Expected out;
  const auto get = [&](const char* name) { return std::string(root[name].string().value_or("")); };
  out.issuer = get("issuer"), out.audience = get("audience"), out.acs = get("acs");
  out.request_id = get("request_id");
  out.now = root["now"].integer().value_or(0);
  out.skew = std::chrono::seconds(root["skew"].integer().value_or(0));
  SALLYPORT_TRY(out.keys, ReadKeys(root));
  return out;
}

Result<std::string> JudgeLogout(sallyport::json::Value root, std::string_view document) {
  LogoutExpected expected;
  expected.issuer = std::string(root["issuer"].string().value_or(""));
  expected.destination = std::string(root["destination"].string().value_or(""));
  expected.signed_beside = root["signed_beside"].boolean().value_or(false);
  expected.now = root["now"].integer().value_or(0);
  expected.skew = std::chrono::seconds(root["skew"].integer().value_or(0));
  SALLYPORT_TRY(expected.keys, ReadKeys(root));
  std::string xml(document);
  if (expected.signed_beside) {
    SALLYPORT_TRY(xml, Inflate(document, kMostLogout));
  }
  SALLYPORT_TRY(const Logout found, ReadLogout(xml, expected));
  return Yes(found);
}

Result<std::string> Judge(std::string_view question) {
  SALLYPORT_TRY(const auto document,
                sallyport::json::Document::Parse(
                    question, {.max_bytes = kMostQuestion, .max_depth = 4, .max_nodes = 1000}));
  const auto root = document.root();
  const auto xml = Base64Decode(root["document"].string().value_or(""));
  if (!xml) return Fail(Errc::request_malformed, "document");
  if (root["op"].string() == "metadata") {
    SALLYPORT_TRY(const Metadata found,
                  ReadMetadata(AsText(*xml), root["now"].integer().value_or(0)));
    return Yes(found);
  }
  if (root["op"].string() == "logout") return JudgeLogout(root, AsText(*xml));
  if (root["op"].string() != "response") return Fail(Errc::request_malformed, "op");
  SALLYPORT_TRY(const Expected expected, ReadExpected(root));
  SALLYPORT_TRY(const Assertion found, VerifyResponse(AsText(*xml), expected));
  return Yes(found);
}

std::optional<std::string> ReadAll() {
  std::string out(kMostQuestion + 1, '\0');
  size_t size = 0;
  while (size < out.size()) {
    const ssize_t n = ::read(0, out.data() + size, out.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    size += size_t(n);
  }
  if (size > kMostQuestion) return std::nullopt;
  out.resize(size);
  return out;
}

bool WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(1, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(size_t(n));
  }
  return true;
}

}  // namespace

std::string Answer(std::string_view question) {
  try {
    auto answer = Judge(question);
    return answer ? std::move(*answer) : No(answer.error());
  } catch (const std::exception&) {  // memory; JSON of text that is no UTF-8
    return No(Error(Errc::internal, "the document cannot be read"));
  }
}

int RunWorker() {
  const rlimit cpu{kCpuSeconds, kCpuSeconds};
  if (::setrlimit(RLIMIT_CPU, &cpu) != 0 || !SetUpXmlSecurity() || !CloseSandbox()) return 1;
  const auto question = ReadAll();
  if (!question || !WriteAll(Answer(*question))) ::_exit(1);
  ::_exit(0);  // nothing of the libraries' ends: they may want calls that are gone
}

}  // namespace sallyport::saml
