#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "pg/server.h"

namespace sallyport::pg {

using RowView = std::vector<std::optional<std::string_view>>;
/// Called for each row as it comes; the views are valid during the call.
using RowFunction = std::function<void(const RowView&)>;

/// Query() without keeping the rows: for answers of many rows. Rows of all statements of a text
/// come one after the other; those before an error have been given out.
Task<> QueryEach(Server& server, std::string sql, std::chrono::milliseconds limit,
                 RowFunction each);

/// 'I', 'T' or 'E', as ReadyForQuery says it: by an empty question, which changes nothing.
Task<char> TransactionStatus(Server& server, std::chrono::milliseconds limit);

}  // namespace sallyport::pg
