#include <algorithm>

#include "config/aws_keys.h"
#include "config/sections.h"
#include "config/upstream_snowflake.h"

namespace sallyport::config {
namespace {

using std::chrono::seconds;

std::string_view HostOf(std::string_view url) {
  const size_t from = url.find("://");
  if (from == url.npos) return {};
  const std::string_view rest = url.substr(from + 3);
  return rest.substr(0, rest.find_first_of("/:?#"));
}

void ReadAccount(Fields& fields, credential::SnowflakeOAuth& snowflake) {
  Context& context = fields.context();
  constexpr const char* kHint = "write https://ORG-ACCOUNT.snowflakecomputing.com";
  std::string& url = snowflake.account_url;
  url = fields.RequiredText("account_url", kHint);
  while (url.ends_with('/')) url.pop_back();
  const std::string_view host = HostOf(url);
  CheckSnowflakeHost(context, fields.ValueMark("account_url"), fields.where() + ".account_url",
                     url);
  if (!url.empty() && (!url.starts_with("https://") || !IsWord(host, ".-_") ||
                       url.size() != std::string_view("https://").size() + host.size())) {
    context.Error(fields.ValueMark("account_url"), kCfgBadValue,
                  fields.where() + ".account_url is not the URL of an account", kHint);
  }
}

std::string ReadRoleName(Fields& fields) {
  std::string role = fields.RequiredText("role", "write the role's name");
  CheckWord(fields, "role", role, "_$", "write an unquoted identifier of Snowflake, ANALYST");
  return role;
}

std::vector<std::string> ReadRoleWho(Fields& fields) {
  std::vector<std::string> who;
  Places places;
  who = ReadWho(fields, "who", true, places);
  for (const Places::Use& use : places.agents)
    fields.context().named.push_back({use.mark, use.where, use.name, true});
  if (who.empty() && fields.Require("who", "write who: [group:NAME], or [any]") != nullptr) {
    fields.context().Error(fields.ValueMark("who"), kCfgBadValue,
                           fields.where() + ".who names nobody", "write [group:NAME], or [any]");
  }
  return who;
}

void ReadRoles(Fields& fields, credential::SnowflakeOAuth& snowflake) {
  Context& context = fields.context();
  const bool one = fields.Get("role") != nullptr, several = fields.Get("roles") != nullptr;
  if (one == several) {
    context.Error(fields.MarkOf(""), one ? kCfgConflict : kCfgMissingKey,
                  fields.where() + " needs exactly one of role and roles",
                  "write role: NAME, or roles: [{ who: [group:NAME], role: NAME }]");
    (void)fields.List("roles");
    return;
  }
  if (one) {
    snowflake.roles.push_back({{"any"}, ReadRoleName(fields)});
    return;
  }
  size_t n = 0;
  for (const Node& item : fields.List("roles")) {
    Fields entry(context, item, fields.where() + ".roles[" + std::to_string(n++) + "]");
    std::string role = ReadRoleName(entry);
    snowflake.roles.push_back({ReadRoleWho(entry), std::move(role)});
    entry.Done();
  }
}

}  // namespace

void CheckSnowflakeHost(Context& context, Mark mark, const std::string& what,
                        const std::string& url) {
  std::string host(HostOf(url));
  if (!host.contains('_')) return;
  std::ranges::replace(host, '_', '-');
  context.Error(mark, kCfgBadValue,
                what + ": host names of Snowflake have hyphens where the account has underscores",
                "write https://" + host);
}

void ReadSnowflakePat(Context& context, const Node& node, const std::string& where,
                      UpstreamAuth& auth) {
  Fields fields(context, node, where);
  auth.kind = UpstreamAuth::Kind::snowflake_pat;
  fields.Require("token", "write token: { file: PATH } of the programmatic access token");
  if (auto token = fields.Secret("token")) auth.secret = *token;
  fields.Done();
}

void ReadSnowflakeOAuth(Context& context, const Node& node, const std::string& where,
                        UpstreamAuth& auth) {
  Fields fields(context, node, where);
  auth.kind = UpstreamAuth::Kind::snowflake_external_oauth;
  credential::SnowflakeOAuth& snowflake = auth.snowflake;
  ReadAccount(fields, snowflake);
  ReadRoles(fields, snowflake);
  snowflake.login_by_name =
      fields.Choice("login_name", {"subject", "name"}).value_or("subject") == "name";
  snowflake.login_in_name = fields.Choice("claim", {"sub", "name"}).value_or("sub") == "name";
  if (auto provider = fields.Text("provider")) snowflake.provider = *provider;
  context.named.push_back(
      {fields.MarkOf("provider"), where + ".provider", snowflake.provider, false});
  if (auto ttl = fields.Duration("ttl", seconds(30), seconds(600)))
    snowflake.ttl = std::chrono::duration_cast<seconds>(*ttl);
  fields.Done();
}

}  // namespace sallyport::config
