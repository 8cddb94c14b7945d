#pragma once

#include <string>
#include <string_view>

#include "mask/masker.h"

namespace sallyport::pg {

/// What of an ErrorResponse or NoticeResponse may be shown and kept.
struct FilteredError {
  std::string message;   // the whole message, type byte and length included
  std::string sqlstate;  // "22P02"
  std::string text;      // its primary text, as it is shown
  bool fatal = false;    // FATAL or PANIC: the server closes the connection
};

/// Fields of `body` (an 'E' or 'N' message, protocol 3.0). Where the statement touches classified
/// relations, severity, code, constraint and object names stay, the text becomes a template, and
/// everything else is dropped: DETAIL, HINT, CONTEXT, the internal query and quoted values are
/// where PostgreSQL shows data. Otherwise every field is looked at. `moved`: positions do not fit
/// the client's text. upstream_protocol: not such a message.
Result<FilteredError> FilterError(char type, std::string_view body, const mask::Masker& masker,
                                  bool classified, bool moved);

}  // namespace sallyport::pg
