#include "pg/catalog_actions.h"

#include <algorithm>
#include <cctype>

#include "sql/reach.h"

namespace sallyport::pg {
namespace {

bool IsWordByte(unsigned char c) { return std::isalnum(c) || c == '_' || c == '$' || c >= 0x80; }

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool IsWord(std::string_view name) {
  return std::ranges::all_of(name, [](unsigned char c) { return IsWordByte(c); });
}

}  // namespace

bool ActionReader::Names::In(std::string_view text) const {
  const std::string body = Lower(text);
  for (size_t at = 0; at < body.size();) {
    size_t end = at;
    while (end < body.size() && IsWordByte(static_cast<unsigned char>(body[end]))) ++end;
    if (end > at && words.contains(body.substr(at, end - at))) return true;
    at = end + 1;
  }
  return std::ranges::any_of(others,
                             [&](const std::string& name) { return body.find(name) != body.npos; });
}

void ActionReader::Names::Add(std::string_view name) {
  std::string low = Lower(name);
  if (IsWord(low)) {
    words.insert(std::move(low));
  } else {
    others.insert(std::move(low));
  }
}

/// A text that is put together as it runs, or that escapes its identifiers, can name anything.
bool ActionReader::Dynamic(std::string_view text) {
  const std::string body = Lower(text);
  if (body.find("execute") != body.npos || body.find("u&\"") != body.npos) return true;
  for (size_t at = 0; at < body.size();) {
    size_t end = at;
    while (end < body.size() && IsWordByte(static_cast<unsigned char>(body[end]))) ++end;
    if (end > at && sql::ReachesPastArguments(std::string_view(body).substr(at, end - at)))
      return true;
    at = end + 1;
  }
  return false;
}

ActionReader::ActionReader(DatabaseCatalog& database) : database_(database) {
  for (const DatabaseFunction& each : database_.functions) {
    const sql::CatalogFunction& function = each.function;
    const bool readable = function.language == "plpgsql" && !each.body.empty();
    if (function.touches_classified && (!readable || Dynamic(each.body))) Touches(each);
  }
  for (const auto& relation : database_.relations) {
    if (relation.readable_by_rules_only ||
        std::ranges::any_of(relation.columns, &sql::CatalogColumn::classified))
      names_.Add(relation.name);
  }
  while (Round()) {
  }
}

void ActionReader::Touches(const DatabaseFunction& function) {
  touching_.insert(function.oid);
  names_.Add(function.function.name);
}

void ActionReader::Active(uint32_t relation) {
  active_.insert(relation);
  const auto at = database_.by_oid.find(relation);
  if (at == database_.by_oid.end()) return;
  names_.Add(database_.relations[at->second].name);
  active_names_.Add(database_.relations[at->second].name);
}

/// Functions that name what is known by now, and relations whose use runs them.
bool ActionReader::Round() {
  bool more = false;
  for (const DatabaseFunction& each : database_.functions) {
    if (!each.function.touches_classified || touching_.contains(each.oid)) continue;
    if (!names_.In(each.body)) continue;
    Touches(each);
    more = true;
  }
  for (const auto& action : database_.actions) {
    if (active_.contains(action.relation) || !Reads(action)) continue;
    Active(action.relation);
    more = true;
  }
  // A change of a view is one of what it shows.
  for (const DatabaseView& view : database_.views) {
    if (active_.contains(view.oid) || !active_names_.In(view.definition)) continue;
    Active(view.oid);
    more = true;
  }
  return more;
}

bool ActionReader::Reads(const DatabaseCatalog::Action& action) const {
  if (action.function != 0) return touching_.contains(action.function);
  const auto at = database_.by_oid.find(action.read);
  return at != database_.by_oid.end() &&
         std::ranges::any_of(database_.relations[at->second].columns,
                             &sql::CatalogColumn::classified);
}

void ActionReader::MarkRelations() {
  for (const uint32_t oid : active_) {
    const auto at = database_.by_oid.find(oid);
    if (at != database_.by_oid.end()) database_.relations[at->second].classified = true;
  }
  for (const auto& action : database_.actions) {
    const auto at = database_.by_oid.find(action.relation);
    if (action.answers && at != database_.by_oid.end() && Reads(action))
      database_.relations[at->second].readable_by_rules_only = true;
  }
}

}  // namespace sallyport::pg
