#include <algorithm>

#include "config/aws_keys.h"
#include "config/sections.h"
#include "json/document.h"

namespace sallyport::config {

using std::chrono::seconds;

bool IsWord(std::string_view text, std::string_view more) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.contains(c);
  });
}

void CheckWord(Fields& fields, std::string_view key, const std::string& text, std::string_view more,
               std::string hint) {
  if (text.empty() || IsWord(text, more)) return;
  fields.context().Error(fields.ValueMark(key), kCfgBadValue,
                         fields.where() + "." + std::string(key) + " holds other characters",
                         std::move(hint));
}

credential::Reach ReadReach(Fields& fields) {
  credential::Reach reach;
  if (auto ca = fields.Path("ca")) reach.ca = *ca;
  reach.allow_addresses = fields.Texts("allow_addresses");
  reach.allow_loopback_http = fields.Bool("allow_loopback_http").value_or(true);
  return reach;
}

namespace {

constexpr size_t kPolicyLength = 2048, kPolicyArns = 10;  // AWS STS API Reference

/// The token: a reference, or the gate's own for each caller.
void ReadIdentityToken(Fields& fields, bool per_caller, credential::AwsKeys& keys) {
  Context& context = fields.context();
  const std::string where = fields.where() + ".token";
  const Node* token = fields.Require("token", "write token: gate_jwt, or { file: PATH }");
  if (token == nullptr) return;
  if (!token->is(Node::Kind::scalar) || token->text != "gate_jwt") {
    if (auto ref = fields.Secret("token")) keys.token = *ref;
    return;
  }
  keys.names_caller = true;
  if (!per_caller) {
    context.Error(token->mark, kCfgConflict, where + ": here there is no caller to name",
                  "write token: { file: PATH } of the gateway's own web identity");
  }
}

/// What only makes the role's rights smaller.
void ReadSessionPolicy(Fields& fields, credential::AwsKeys& keys) {
  Context& context = fields.context();
  if (auto policy = fields.Text("session_policy")) keys.session_policy = *policy;
  if (!keys.session_policy.empty()) {
    const auto read = json::Document::Parse(keys.session_policy);
    if (!read || !read->root()["Statement"] || keys.session_policy.size() > kPolicyLength) {
      context.Error(fields.ValueMark("session_policy"), kCfgBadValue,
                    fields.where() + ".session_policy is no IAM policy of at most 2048 characters",
                    "write its JSON: '{\"Version\":\"2012-10-17\",\"Statement\":[…]}'");
    }
  }
  keys.session_policy_arns = fields.Texts("session_policy_arns");
  const bool arns = std::ranges::all_of(keys.session_policy_arns, [](const std::string& arn) {
    return arn.starts_with("arn:") && arn.contains(":policy/");
  });
  if (!arns || keys.session_policy_arns.size() > kPolicyArns) {
    context.Error(fields.ValueMark("session_policy_arns"), kCfgBadValue,
                  fields.where() + ".session_policy_arns are not at most 10 ARNs of policies",
                  "write [arn:aws:iam::ACCOUNT:policy/NAME]");
  }
}

void ReadWebIdentity(Context& context, const Node& node, const std::string& where, bool per_caller,
                     credential::AwsKeys& keys) {
  Fields fields(context, node, where);
  keys.kind = credential::AwsKeys::Kind::web_identity;
  keys.role_arn = fields.RequiredText("role_arn", "write arn:aws:iam::ACCOUNT:role/NAME");
  if (!keys.role_arn.empty() &&
      (!keys.role_arn.starts_with("arn:") || !keys.role_arn.contains(":role/"))) {
    context.Error(fields.ValueMark("role_arn"), kCfgBadValue, where + ".role_arn is no role's ARN",
                  "write arn:aws:iam::ACCOUNT:role/NAME");
  }
  ReadIdentityToken(fields, per_caller, keys);
  if (auto audience = fields.Text("audience")) {
    keys.audience = *audience;
    if (!keys.names_caller || audience->empty()) {
      context.Error(fields.MarkOf("audience"), kCfgConflict,
                    where + ".audience is of the gateway's own token", "add token: gate_jwt");
    }
  }
  if (auto name = fields.Text("session_name")) {
    keys.session_name = *name;
    if (keys.names_caller) {
      context.Error(fields.MarkOf("session_name"), kCfgConflict,
                    where + ".session_name: with token: gate_jwt it names the caller", "remove it");
    }
  }
  ReadSessionPolicy(fields, keys);
  if (keys.session_name.size() < 2 || keys.session_name.size() > 64 ||
      !IsWord(keys.session_name, "+=,.@_-")) {
    context.Error(fields.ValueMark("session_name"), kCfgBadValue,
                  where + ".session_name is no RoleSessionName",
                  "write 2 to 64 letters, digits and + = , . @ _ -");
  }
  if (auto url = fields.Text("sts_url")) keys.sts_url = *url;
  CheckUrl(fields, "sts_url", keys.sts_url, false);
  if (auto d = fields.Duration("duration", seconds(900), seconds(43'200)))
    keys.duration = std::chrono::duration_cast<seconds>(*d);
  keys.reach = ReadReach(fields);
  fields.Done();
}

}  // namespace

credential::AwsKeys ReadAwsKeys(Context& context, const Node& node, const std::string& where,
                                bool per_caller) {
  using Kind = credential::AwsKeys::Kind;
  constexpr std::string_view kHint =
      "write environment, chain, { file: PATH, profile: NAME }, { access_key_id: ID, "
      "secret_access_key: { env: NAME } } or { web_identity: { … } }";
  credential::AwsKeys keys;
  if (node.is(Node::Kind::scalar)) {
    if (node.text == "environment") keys.kind = Kind::environment;
    if (node.text != "environment" && node.text != "chain") {
      context.Error(node.mark, kCfgBadValue, where + " is not one of the known sources",
                    std::string(kHint));
    }
    return keys;
  }
  Fields fields(context, node, where);
  int kinds = 0;
  if (auto file = fields.Path("file")) {
    keys.kind = Kind::file;
    keys.file = *file;
    ++kinds;
  }
  const Mark profile = fields.MarkOf("profile");
  if (auto name = fields.Text("profile")) {
    keys.profile = *name;
    if (keys.kind != Kind::file)
      context.Error(profile, kCfgConflict, where + ".profile needs .file", "add file: PATH");
  }
  if (auto id = fields.Text("access_key_id")) {
    keys.kind = Kind::keys;
    keys.access_key_id = *id;
    CheckWord(fields, "access_key_id", *id, "_", "write the id as AWS shows it, AKIA…");
    fields.Require("secret_access_key", "write secret_access_key: { env: NAME }");
    ++kinds;
  }
  for (auto [key, ref] : {std::pair("secret_access_key", &keys.secret_access_key),
                          std::pair("session_token", &keys.session_token)}) {
    auto value = fields.Secret(key);
    if (!value) continue;
    *ref = *value;
    if (keys.kind != Kind::keys) {
      context.Error(fields.MarkOf(key), kCfgConflict, where + "." + key + " needs .access_key_id",
                    "add access_key_id: ID");
    }
  }
  if (const Node* web = fields.Get("web_identity")) {
    ReadWebIdentity(context, *web, where + ".web_identity", per_caller, keys);
    ++kinds;
  }
  if (kinds != 1) {
    context.Error(node.mark, kinds == 0 ? kCfgMissingKey : kCfgConflict,
                  where + " needs exactly one source of the key", std::string(kHint));
  }
  fields.Done();
  return keys;
}

credential::RdsIam ReadRdsIam(Fields& fields) {
  credential::RdsIam rds;
  rds.region = fields.RequiredText("region", "write eu-central-1 or the like");
  CheckWord(fields, "region", rds.region, "-", "write eu-central-1 or the like");
  if (const Node* keys = fields.Get("credentials"))
    rds.keys = ReadAwsKeys(fields.context(), *keys, fields.where() + ".credentials");
  return rds;
}

}  // namespace sallyport::config
