#pragma once

#include <set>
#include <string>
#include <string_view>

#include "json/document.h"

namespace sallyport::ledger {

/// The words of the SQL in a recorded request, in lower case: all that can be a part of a name, and
/// keywords. Nothing that SQL names is left out, whatever the dialect: this is for finding
/// candidates, which somebody else reads properly. "?" stands for what is not in the entry, or too
/// much. Empty: no SQL in it.
std::set<std::string> WordsOfSql(json::Value request);

/// The words of the last part of a name ("public.orders").
std::set<std::string> WordsOfName(std::string_view name);

/// Whether a text may be SQL: some word of it begins a statement.
bool MayBeSql(std::string_view text);

}  // namespace sallyport::ledger
