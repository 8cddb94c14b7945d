#include "pg/jit_role_sql.h"

#include <algorithm>
#include <array>
#include <map>
#include <openssl/sha.h>

#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::pg {
namespace {

constexpr size_t kGatewayPart = 28;
constexpr std::array<std::string_view, 4> kPrivileges{"SELECT", "INSERT", "UPDATE", "DELETE"};
constexpr size_t kCommentPart = 120;

std::string Digest(std::string_view text, size_t digits) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return HexEncode(ByteView(digest)).substr(0, digits);
}

/// How many bytes the character at `at` has; 0: not UTF-8.
size_t CharacterLength(std::string_view text, size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  const size_t n = c < 0x80                ? 1
                   : c >= 0xc2 && c < 0xe0 ? 2
                   : c >= 0xe0 && c < 0xf0 ? 3
                   : c >= 0xf0 && c < 0xf5 ? 4
                                           : 0;
  if (n == 0 || at + n > text.size()) return 0;
  for (size_t k = 1; k < n; ++k) {
    const auto next = static_cast<unsigned char>(text[at + k]);
    // Overlong forms, surrogates and what is beyond U+10FFFF differ in the second byte only.
    const unsigned low = k == 1 && c == 0xe0 ? 0xa0 : k == 1 && c == 0xf0 ? 0x90 : 0x80;
    const unsigned high = k == 1 && c == 0xed ? 0x9f : k == 1 && c == 0xf4 ? 0x8f : 0xbf;
    if (next < low || next > high) return 0;
  }
  return n;
}

/// Valid UTF-8 without control characters, cut at `most` bytes between characters.
std::string Clean(std::string_view text, size_t most) {
  std::string out;
  for (size_t i = 0; i < text.size() && out.size() < most;) {
    const size_t n = CharacterLength(text, i);
    if (n <= 1) {
      const bool printable = n == 1 && text[i] >= 0x20 && text[i] < 0x7f;
      out += printable ? text[i] : '?';
      ++i;
    } else {
      out += text.substr(i, n);
      i += n;
    }
  }
  return out;
}

bool IsGlob(char c) { return c == '*' || c == '?'; }

/// A glob as a LIKE pattern.
std::string LikePattern(std::string_view glob) {
  std::string out;
  for (const char c : glob) {
    if (IsGlob(c)) {
      out += c == '*' ? '%' : '_';
      continue;
    }
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string Join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += ", ";
    out += part;
  }
  return out;
}

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '\0') continue;
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string QuoteLiteral(std::string_view text) {
  std::string out = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (size_t i = 0; i < text.size();) {
    const size_t n = CharacterLength(text, i);
    if (n <= 1) {
      const char c = n == 0 ? '?' : text[i];
      if (c == '\'' || c == '\\') out += c;
      if (c != '\0') out += c;
      ++i;
    } else {
      out += text.substr(i, n);
      i += n;
    }
  }
  return out + '\'';
}

RoleNames::RoleNames(std::string_view gateway, std::string_view database) {
  std::string part;
  for (const char c : gateway.substr(0, kGatewayPart)) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    part += kept ? c : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : '-';
  }
  if (part != gateway) part = part.substr(0, kGatewayPart - 5) + "-" + Digest(gateway, 4);
  prefix_ = "sallyport_" + part + "_" + Digest(database, 4);
}

std::string RoleNames::NewSession() const { return NewId(prefix_); }

std::string RoleNames::GroupOf(const std::vector<Grant>& grants) const {
  if (grants.empty()) return {};
  std::string all;
  for (const Grant& grant : grants) {
    all += grant.relation + '\0' + Join(grant.privileges) + '\0';
    for (const std::string& column : grant.columns) all += column + '\0';
    all += '\1';
  }
  return prefix_ + "g_" + Digest(all, 16);
}

bool RoleNames::IsGroup(std::string_view role) const { return role.starts_with(prefix_ + "g_"); }

std::string RoleNames::Pattern() const { return QuoteLiteral(LikePattern(prefix_) + "%"); }

std::string RoleNames::LockKey() const {
  // "sallyport" and this gateway's roles: a lock of an application is not likely to be the same.
  const std::string digest = Digest(prefix_, 7);
  return "1935764588, " + std::to_string(std::stoi(digest, nullptr, 16));
}

Result<std::string> TargetsSql(const std::vector<Grant>& grants) {
  std::string wanted;
  for (size_t i = 0; i < grants.size(); ++i) {
    const std::string_view relation = grants[i].relation;
    const size_t dot = relation.find('.');
    if (dot == std::string_view::npos || dot == 0 || dot + 1 == relation.size())
      return Fail(Errc::internal, "a grant names no schema");
    if (i > 0) wanted += ", ";
    wanted += "(" + std::to_string(i) + ", " + QuoteLiteral(LikePattern(relation.substr(0, dot))) +
              ", " + QuoteLiteral(LikePattern(relation.substr(dot + 1))) + ")";
  }
  return "SELECT w.i, n.nspname, c.relname, c.oid,"
         " (SELECT string_agg(DISTINCT format('%I.%I', sn.nspname, s.relname), ',')"
         "  FROM pg_catalog.pg_depend d"
         "  JOIN pg_catalog.pg_class s ON s.relkind = 'S' AND s.oid ="
         "   CASE WHEN d.refobjid = c.oid THEN d.objid ELSE d.refobjid END"
         "  JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace"
         // Owned by a column (serial), or named by a default.
         "  WHERE (d.classid = 'pg_catalog.pg_class'::regclass"
         "    AND d.refclassid = 'pg_catalog.pg_class'::regclass"
         "    AND d.refobjid = c.oid AND d.deptype = 'a')"
         "   OR (d.classid = 'pg_catalog.pg_attrdef'::regclass"
         "    AND d.refclassid = 'pg_catalog.pg_class'::regclass"
         "    AND d.objid IN (SELECT a.oid FROM pg_catalog.pg_attrdef a WHERE a.adrelid = c.oid)"
         "    AND d.refobjid <> c.oid))"
         " FROM (VALUES " +
         wanted +
         ") w(i, s, r)"
         " JOIN pg_catalog.pg_namespace n ON n.nspname LIKE w.s"
         "  AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
         "  AND n.nspname !~ '^pg_(toast|temp)'"
         " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname LIKE w.r"
         "  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
         " ORDER BY w.i, n.nspname, c.relname";
}

Result<std::string> GrantSql(const std::string& group, const std::vector<Grant>& grants,
                             const std::vector<GrantTarget>& targets) {
  const std::string to = " TO " + QuoteIdentifier(group) + ";\n";
  std::map<std::string, std::vector<std::string>> relations;  // by what they are granted
  std::vector<std::string> schemas, sequences;
  for (const GrantTarget& target : targets) {
    const Grant& grant = grants.at(target.grant);
    std::string columns;
    for (const std::string& column : grant.columns)
      columns += (columns.empty() ? " (" : ", ") + QuoteIdentifier(column);
    if (!columns.empty()) columns += ")";
    for (const std::string& privilege : grant.privileges) {
      if (std::ranges::find(kPrivileges, privilege) == kPrivileges.end() ||
          (privilege == "DELETE" && !columns.empty()))
        return Fail(Errc::internal, "a privilege that is not granted");
      relations[privilege + columns].push_back(QuoteIdentifier(target.schema) + "." +
                                               QuoteIdentifier(target.name));
      if (privilege == "INSERT")
        sequences.insert(sequences.end(), target.sequences.begin(), target.sequences.end());
    }
    schemas.push_back(QuoteIdentifier(target.schema));
  }
  const auto unique = [](std::vector<std::string>& names) {
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
  };
  unique(schemas), unique(sequences);
  std::string sql;
  if (!schemas.empty()) sql += "GRANT USAGE ON SCHEMA " + Join(schemas) + to;
  for (auto& [what, names] : relations) {
    unique(names);
    sql += "GRANT " + what + " ON TABLE " + Join(names) + to;
  }
  if (!sequences.empty()) sql += "GRANT USAGE ON SEQUENCE " + Join(sequences) + to;
  return sql;
}

std::string CreateRoleSql(const NewRole& role, const std::string& lock_key) {
  const std::string name = QuoteIdentifier(role.name);
  std::string sql;
  // A group is dropped only by who has this lock alone.
  if (!role.group.empty())
    sql += "SELECT pg_catalog.pg_advisory_xact_lock_shared(" + lock_key + ");\n";
  sql += "CREATE ROLE " + name + " LOGIN CONNECTION LIMIT 2 PASSWORD " +
         QuoteLiteral(role.verifier) + " VALID UNTIL " + QuoteLiteral(FormatUtc(role.valid_until));
  // Since 16 a membership says whether SET ROLE may use it; nobody has to.
  const bool separate = role.server_version >= 160000;
  if (!role.group.empty() && !separate) sql += " IN ROLE " + QuoteIdentifier(role.group);
  if (!role.admin_is_superuser) sql += " ROLE CURRENT_USER";
  sql += ";\n";
  if (!role.group.empty() && separate)
    sql +=
        "GRANT " + QuoteIdentifier(role.group) + " TO " + name + " WITH INHERIT TRUE, SET FALSE;\n";
  sql += "ALTER ROLE " + name + " SET standard_conforming_strings = 'on';\n";
  // A statement ends with its gateway, should that die.
  if (role.server_version >= 140000)
    sql += "ALTER ROLE " + name + " SET client_connection_check_interval = '10s';\n";
  if (!role.comment.empty())
    sql += "COMMENT ON ROLE " + name + " IS " + QuoteLiteral(role.comment) + ";\n";
  return sql;
}

std::string RoleComment(const op::Session& session) {
  return "sallyport session " + Clean(session.id, 40) + " of " +
         Clean(session.who.name, kCommentPart) + " (" + Clean(session.who.issuer, kCommentPart) +
         " " + Clean(session.who.subject, kCommentPart) + ")";
}

}  // namespace sallyport::pg
