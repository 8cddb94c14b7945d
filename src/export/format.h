#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "export/config.h"
#include "export/facts.h"
#include "export/spool.h"

namespace sallyport::exporting {

struct Style {
  Format format = Format::ocsf;
  std::string version;   // of the product
  size_t max_bytes = 0;  // of one event; 0: as long as it is. At least 2,000
};

/// How much of an entry an event carries. Each says so where it is not all.
enum class Extent : uint8_t {
  full,   // with what was asked for, up to 16 KiB of it; `json` with the result as well
  brief,  // without request and result, names of groups and places of masking
  bare,   // that it happened: index, leaf hash, event, time
};

/// One event on one line, without its end: no byte of an entry can end the line or, in the
/// structure of the format, the field that it stands in. Where `max_bytes` would be exceeded it is
/// cut and says so; the index and leaf hash are always there, and lead to the entry. An entry that
/// is not of our making, or of a kind that this version does not know, is an event as well.
std::string Render(const Style& style, const Event& event);

std::string_view FormatName(Format format);

/// 32 lower-case hexadecimal digits, not all 0 (W3C Trace Context).
bool IsTraceId(std::string_view text);

// One function for each format, used by Render.
std::string RenderOcsf(const Style& style, const Event& event, const Facts& facts, Extent extent);
std::string RenderEcs(const Style& style, const Event& event, const Facts& facts, Extent extent);
std::string RenderCef(const Style& style, const Event& event, const Facts& facts, Extent extent);
std::string RenderJson(const Event& event, const Facts& facts, Extent extent);
std::string RenderSpan(const Event& event, const Facts& facts);

/// Of statements and arguments in one event.
inline constexpr size_t kMostAsked = 16 << 10;

}  // namespace sallyport::exporting
