#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mask/masker.h"
#include "op/operation.h"
#include "pg/names.h"

namespace sallyport::pg {

/// The parameters of a Bind, as they stand in the message.
struct BindParameters {
  std::vector<int16_t> formats;          // none (text), one for all, or one each
  std::vector<std::string_view> values;  // views into the message
  std::vector<bool> nulls;
  int16_t FormatOf(size_t i) const {
    return formats.empty() ? int16_t{0} : formats.size() == 1 ? formats[0] : formats[i];
  }
};

/// Where a statement is asked, for the gate.
struct AskedAt {
  std::string_view connection;
  const std::map<std::string, std::string>* labels = nullptr;
  std::string_view database;
  const std::shared_ptr<const mask::Masker>* masker = nullptr;
  size_t record_bytes = 16 << 10;
};

/// What a text asks, in the gate's words, with its masked form for the log:
/// {"sql":"…","params":["…",null]}. `method` is "query", "parse", "bind" or "execute". Views point
/// into `judged` and `at`. A text in which nothing is to be masked is looked at once and kept in
/// `judged`. mask_failed: it cannot be recorded, so it must not be run; sad_refused:
/// it holds what a rule of the detectors blocks.
Result<op::Operation> ToOperation(const AskedAt& at, std::string_view method, Judged& judged,
                                  const BindParameters* parameters,
                                  const std::vector<uint32_t>* types);

/// The trace id that a comment of the text names (sqlcommenter: traceparent='…'), or an
/// application_name; empty where it looks like the number of a card, as the log would show it.
std::string TraceOfText(std::string_view text, const mask::Masker& masker);
std::string TraceOfName(std::string_view application_name, const mask::Masker& masker);

/// The text of a client that could not even be judged (too large, malformed).
Result<op::Operation> ToObjection(const AskedAt& at, std::string_view method, Error objection);

/// The statement of `analysis` for the policy; shares its memory.
std::shared_ptr<const op::SqlText> StatementOf(const sql::AnalysisPtr& analysis);

/// A value as the log shows it: text as it is, binary of known types in text form, anything else
/// as its length. Appended as a JSON string; not masked yet. At most `limit` bytes of it.
void AppendValue(std::string& json, std::string_view value, bool binary, uint32_t type,
                 size_t limit);

}  // namespace sallyport::pg
