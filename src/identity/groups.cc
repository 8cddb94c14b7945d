#include "identity/groups.h"

#include <algorithm>

namespace sallyport::identity {
namespace {

bool IsGroupName(std::string_view s) {
  return !s.empty() && s.size() <= 512 &&
         std::ranges::none_of(s, [](uint8_t c) { return c < 0x20 || c == 0x7f; });
}

/// Why the issuer says that the claim is not, or not wholly, in the token; empty if it does not say
/// so.
std::string MovedOut(json::Value claims, std::string_view name) {
  std::string_view top = claims[name] ? name : name.substr(0, name.find('.'));
  if (json::Value moved = claims["_claim_names"]) {
    if (!moved.is(json::Kind::object)) return "_claim_names is not an object";
    if (moved[top] || moved[name]) {
      return "the issuer left the groups out because there are too many (_claim_names)";
    }
  }
  json::Value has = claims["hasgroups"];
  if (has && top == "groups" && has.boolean() != false) {
    return "the issuer left the groups out because there are too many (hasgroups)";
  }
  return {};
}

}  // namespace

json::Value FindClaim(json::Value claims, std::string_view name) {
  if (json::Value exact = claims[name]) return exact;
  for (size_t dot = name.rfind('.'); dot != name.npos && dot > 0; dot = name.rfind('.', dot - 1)) {
    const json::Value member = claims[name.substr(0, dot)];
    if (!member) continue;
    if (json::Value found = FindClaim(member, name.substr(dot + 1))) return found;
  }
  return {};
}

Groups ReadGroups(json::Value claims, std::string_view name, size_t cut_at) {
  Groups out;
  auto incomplete = [&](std::string why) {
    out.complete = false;
    if (out.why.empty()) out.why = std::move(why);
  };
  if (auto why = MovedOut(claims, name); !why.empty()) incomplete(std::move(why));

  json::Value value = FindClaim(claims, name);
  if (!value) return out;
  if (auto one = value.string()) {
    if (IsGroupName(*one)) {
      out.names.emplace_back(*one);
    } else {
      incomplete("the groups claim holds something that is not a group name");
    }
    return out;
  }
  if (!value.is(json::Kind::array)) {
    incomplete("the groups claim is not a list of names");
    return out;
  }
  for (auto element = value.first(); element; element = element.next()) {
    auto text = element.string();
    if (text && IsGroupName(*text)) {
      out.names.emplace_back(*text);
    } else {
      incomplete("the groups claim holds something that is not a group name");
    }
  }
  if (cut_at != 0 && value.size() >= cut_at) {
    incomplete("the token lists " + std::to_string(value.size()) +
               " groups, so the issuer may have cut the list (groups_cut_at)");
  }
  return out;
}

}  // namespace sallyport::identity
