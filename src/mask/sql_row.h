#pragma once

#include "mask/impl.h"

namespace sallyport::mask {

/// The test form of PostgreSQL messages: one JSON object per line, {"msg", "cols":
/// [{"name","type","fmt"}], "vals": [string or null]}; `fmt` is "text" or "binary", binary values
/// are "\x" and hexadecimal digits. Values are masked by type, columns and rows that make up one
/// number are joined, and the lines stay JSON. mask_failed: a line is not such an object.
Result<void> FindInSqlRows(const Masker::Impl& impl, std::string_view lines, Found& found);

}  // namespace sallyport::mask
