#include "identity/workload.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "identity/groups.h"

namespace sallyport::identity {
namespace {

constexpr const char* kKubernetes = "kubernetes.io";
constexpr const char* kAws = "https://sts.amazonaws.com/";
constexpr std::string_view kServiceAccount = "system:serviceaccount:";
constexpr std::string_view kSpiffe = "spiffe://";
constexpr size_t kMaxOrigin = 512, kMaxValue = 128;

std::unexpected<Error> WrongType(const char* what) { return Fail(Errc::token_type_wrong, what); }
std::unexpected<Error> Invalid(const char* what) { return Fail(Errc::token_claims_invalid, what); }

Result<> CheckCiJob(json::Value claims) {
  // GitHub runs these two events with the base repository's rights on a stranger's code.
  const auto event = claims["event_name"].string();
  if (event == "pull_request_target" || event == "workflow_run")
    return Invalid("CI jobs started by pull_request_target or workflow_run are not accepted");
  return {};
}

/// A token projected into a pod: bound to the service account that its subject names.
Result<> CheckServiceAccount(json::Value claims) {
  const json::Value about = claims[kKubernetes];
  if (!about.is(json::Kind::object)) return WrongType("it is no token of a service account");
  const auto space = about["namespace"].string();
  const auto name = about["serviceaccount"]["name"].string();
  if (!space || !name ||
      claims["sub"].string() !=
          std::string(kServiceAccount) + std::string(*space) + ":" + std::string(*name))
    return Invalid("sub is not the service account that the token is bound to");
  return {};
}

Result<> CheckRole(json::Value claims) {
  if (!claims[kAws].is(json::Kind::object))
    return WrongType("it is no token of GetWebIdentityToken");
  const auto subject = claims["sub"].string();
  if (!subject || !subject->starts_with("arn:aws")) return Invalid("sub is not the ARN of a role");
  return {};
}

/// A SPIFFE ID: a trust domain in lower case and a path without empty or relative segments
/// (SPIFFE-ID sections 2.1, 2.2).
bool IsSpiffeId(std::string_view id) {
  if (!id.starts_with(kSpiffe) || id.size() > 2048) return false;
  id.remove_prefix(kSpiffe.size());
  const size_t slash = id.find('/');
  if (slash == 0 || slash == id.npos) return false;
  const auto is = [](std::string_view text, bool upper) {
    return std::ranges::all_of(text, [upper](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
             (upper && c >= 'A' && c <= 'Z');
    });
  };
  if (!is(id.substr(0, slash), false)) return false;
  for (id.remove_prefix(slash); !id.empty();) {
    id.remove_prefix(1);
    const std::string_view segment = id.substr(0, id.find('/'));
    if (segment.empty() || segment == "." || segment == ".." || !is(segment, true)) return false;
    id.remove_prefix(segment.size());
  }
  return true;
}

/// In the order in which they are told.
std::span<const char* const> Telling(TokenClass token_class) {
  static constexpr std::array kCi{
      "repository_id", "repository_owner_id", "project_id", "namespace_id", "run_id",
      "run_attempt",   "pipeline_id",         "job_id",     "environment",  "ref",
      "ref_protected", "event_name",          "actor_id",   "user_id",      "job_workflow_ref",
      "repository",    "project_path"};
  static constexpr std::array kPod{"kubernetes.io.namespace", "kubernetes.io.pod.name",
                                   "kubernetes.io.pod.uid", "kubernetes.io.node.name",
                                   "kubernetes.io.serviceaccount.uid"};
  static constexpr std::array kRole{"https://sts.amazonaws.com/.aws_account",
                                    "https://sts.amazonaws.com/.org_id",
                                    "https://sts.amazonaws.com/.principal_id",
                                    "https://sts.amazonaws.com/.lambda_source_function_arn",
                                    "https://sts.amazonaws.com/.ec2_source_instance_arn"};
  switch (token_class) {
    case TokenClass::ci_workload:
      return kCi;
    case TokenClass::k8s_sa:
      return kPod;
    case TokenClass::aws_webidentity:
      return kRole;
    default:
      return {};
  }
}

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

bool IsWorkload(TokenClass token_class) {
  return token_class == TokenClass::ci_workload || token_class == TokenClass::k8s_sa ||
         token_class == TokenClass::aws_webidentity || token_class == TokenClass::spiffe;
}

bool ShowsWorkload(json::Value claims) {
  static constexpr std::array kMarks{"job_workflow_ref",
                                     "repository_id",
                                     "runner_environment",
                                     "pipeline_id",
                                     "ci_config_ref_uri",
                                     kKubernetes,
                                     kAws};
  if (std::ranges::any_of(kMarks, [&](const char* name) { return bool(claims[name]); }))
    return true;
  const auto subject = claims["sub"].string();
  return subject && (subject->starts_with(kSpiffe) || subject->starts_with(kServiceAccount));
}

Result<> CheckWorkload(const Jws& jws, TokenClass token_class) {
  const json::Value claims = jws.claims.root();
  const bool jose = token_class == TokenClass::spiffe && jws.typ == "jose";  // JWT-SVID section 2.3
  if (!jws.typ.empty() && jws.typ != "jwt" && !jose)
    return WrongType("typ is not that of a workload's token");
  if (claims["at_hash"] || claims["c_hash"] || claims["nonce"])
    return WrongType("it is an ID token of a login");
  switch (token_class) {
    case TokenClass::ci_workload:
      return CheckCiJob(claims);
    case TokenClass::k8s_sa:
      return CheckServiceAccount(claims);
    case TokenClass::aws_webidentity:
      return CheckRole(claims);
    case TokenClass::spiffe:
      if (!IsSpiffeId(claims["sub"].string().value_or(""))) return Invalid("sub is no SPIFFE ID");
      return {};
    default:
      return WrongType("it is no workload's token");
  }
}

Result<> CheckSpiffeId(std::string_view id) {
  if (IsSpiffeId(id)) return {};
  return Fail(Errc::config_invalid, "it is not spiffe://TRUST-DOMAIN/PATH");
}

std::string OriginOf(json::Value claims, TokenClass token_class) {
  std::string out;
  for (const std::string_view name : Telling(token_class)) {
    const json::Value value = FindClaim(claims, name);
    const std::string_view text = value.string().value_or(
        value.is(json::Kind::number) || value.is(json::Kind::boolean) ? value.raw() : "");
    if (text.empty() || text.size() > kMaxValue || !IsPrintable(text)) continue;
    const std::string_view last =
        name.substr(name.starts_with(kKubernetes) ? std::string_view(kKubernetes).size() + 1
                    : name.starts_with(kAws)      ? std::string_view(kAws).size() + 1
                                                  : 0);
    if (out.size() + last.size() + text.size() + 2 > kMaxOrigin) break;
    if (!out.empty()) out += ' ';
    out.append(last).append(1, '=').append(text);
  }
  return out;
}

Result<> CheckPinned(const AgentConfig::Match& match, TokenClass token_class) {
  static constexpr std::array<std::string_view, 6> kIds{
      "repository_id", "repository_owner_id", "project_id",
      "namespace_id",  "organization_id",     "oidc.circleci.com/project-id"};
  const auto fail = [](const char* what) { return Fail(Errc::config_invalid, what); };
  switch (token_class) {
    case TokenClass::ci_workload:
      if (std::ranges::none_of(
              kIds, [&](std::string_view id) { return match.claims.contains(std::string(id)); }))
        return fail(
            "it rests on names that somebody else can come to own: add claims: { repository_id: … "
            "} or repository_owner_id "
            "(GitHub), project_id or namespace_id (GitLab)");
      return {};
    case TokenClass::k8s_sa:
      if (!match.subject.starts_with(kServiceAccount))
        return fail("add subject: system:serviceaccount:NAMESPACE:NAME");
      return {};
    case TokenClass::aws_webidentity:
      if (!match.subject.starts_with("arn:aws")) return fail("add subject: the ARN of the role");
      return {};
    case TokenClass::spiffe:
      if (!IsSpiffeId(match.subject)) return fail("add subject: spiffe://TRUST-DOMAIN/PATH");
      return {};
    default:
      return {};
  }
}

}  // namespace sallyport::identity
