#include "pg/to_operation.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/trace.h"
#include "json/document.h"
#include "mask/hidden_number.h"
#include "mask/seal.h"
#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr size_t kParameterBytes = 1024;  // recorded of one parameter

uint64_t Load64(std::string_view v) {
  return uint64_t{Load32(v.data())} << 32 | Load32(v.data() + 4);
}

/// Bytes of a valid UTF-8 character at `at`, or 0.
size_t ValidAt(std::string_view s, size_t at) {
  const auto b = [&](size_t i) { return static_cast<unsigned char>(s[at + i]); };
  const auto tail = [&](size_t n) {
    if (at + n > s.size()) return false;
    for (size_t i = 1; i < n; ++i) {
      if ((b(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  if (b(0) < 0x80) return 1;
  if (b(0) >= 0xc2 && b(0) < 0xe0 && tail(2)) return 2;
  if (b(0) >= 0xe0 && b(0) < 0xf0 && tail(3)) {
    const bool overlong = b(0) == 0xe0 && b(1) < 0xa0, surrogate = b(0) == 0xed && b(1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (b(0) >= 0xf0 && b(0) < 0xf5 && tail(4)) {
    const bool overlong = b(0) == 0xf0 && b(1) < 0x90, beyond = b(0) == 0xf4 && b(1) >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

/// What is no UTF-8 becomes '?', so that the entry is a JSON text.
void AppendText(std::string& json, std::string_view text) {
  const bool ascii =
      std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return json::AppendString(json, text);
  std::string clean;
  clean.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t n = ValidAt(text, i);
    if (n == 0) {
      clean += '?';
      ++i;
    } else {
      clean.append(text, i, n);
      i += n;
    }
  }
  json::AppendString(json, clean);
}

template <class T>
void AppendNumber(std::string& json, T value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  json += '"';
  json.append(text, end);
  json += '"';
}

bool AppendBinary(std::string& json, std::string_view value, uint32_t type, size_t limit) {
  const std::string_view name = TypeName(type);
  if (name == "int2" && value.size() == 2) {
    AppendNumber(json, static_cast<int16_t>(Load16(value.data())));
  } else if ((name == "int4" || name == "oid") && value.size() == 4) {
    AppendNumber(json, static_cast<int32_t>(Load32(value.data())));
  } else if (name == "int8" && value.size() == 8) {
    AppendNumber(json, static_cast<int64_t>(Load64(value)));
  } else if (name == "float8" && value.size() == 8) {
    AppendNumber(json, std::bit_cast<double>(Load64(value)));
  } else if (name == "float4" && value.size() == 4) {
    AppendNumber(json, std::bit_cast<float>(Load32(value.data())));
  } else if (name == "bool" && value.size() == 1) {
    json += value[0] != 0 ? "\"t\"" : "\"f\"";
  } else if (name == "text" || name == "varchar" || name == "bpchar" || name == "name" ||
             name == "json" || name == "xml") {
    AppendText(json, value.substr(0, limit));
  } else {
    return false;
  }
  return true;
}

/// A short run of digits beside a classified column may be a verification code: nothing in its
/// bytes would tell.
bool MayBeCode(std::string_view value, bool binary) {
  if (binary) return value.size() == 2 || value.size() == 4;
  return value.size() >= 3 && value.size() <= 4 &&
         std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

void AppendParameters(std::string& json, const Judged& judged, const BindParameters& parameters,
                      const std::vector<uint32_t>* types, size_t limit) {
  json += "\"params\":[";
  for (size_t i = 0; i < parameters.values.size(); ++i) {
    if (i > 0) json += ',';
    if (json.size() > limit) {
      json += "\"…\"";
      break;
    }
    const std::string_view value = parameters.values[i];
    const bool binary = parameters.FormatOf(i) == 1;
    if (parameters.nulls[i]) {
      json += "null";
    } else if (judged.analysis->classified && MayBeCode(value, binary)) {
      json += "\"***\"";
    } else {
      const uint32_t type = types != nullptr && i < types->size() ? (*types)[i] : 0;
      AppendValue(json, value, binary, type, kParameterBytes);
    }
  }
  json += ']';
}

/// {"sql":…} of a text that comes again and has nothing in it to mask; null if there is something,
/// or the text is too long to be kept whole. Then all of the message is looked at each time.
Result<const op::Payload*> SealedText(const AskedAt& at, Judged& judged, std::string& json) {
  if (judged.sealed_by != *at.masker) {
    judged.sealed = {};
    if (judged.text.size() <= at.record_bytes) {
      json = "{\"sql\":";
      AppendText(json, judged.text);
      json += '}';
      std::vector<op::MaskCount> found;
      SALLYPORT_TRY(op::Payload sealed,
                    mask::Seal::Json(**at.masker, json, {}, at.record_bytes * 8, found));
      if (found.empty() && sealed.complete) judged.sealed = std::move(sealed);
    }
    judged.sealed_by = *at.masker;
  }
  return judged.sealed.text.empty() ? nullptr : &judged.sealed;
}

/// What the log keeps of the text and its parameters.
Result<op::Payload> Record(const AskedAt& at, Judged& judged, const BindParameters* parameters,
                           const std::vector<uint32_t>* types, std::vector<op::MaskCount>& found) {
  const mask::Masker& masker = **at.masker;
  const size_t limit = at.record_bytes * 8;
  const bool bound = parameters != nullptr && !parameters->values.empty();
  thread_local std::string json;
  SALLYPORT_TRY(const op::Payload* known, SealedText(at, judged, json));
  if (known != nullptr) {
    if (!bound) return *known;
    json = '{';
    AppendParameters(json, judged, *parameters, types, at.record_bytes * 2);
    json += '}';
    SALLYPORT_TRY(const op::Payload bind, mask::Seal::Json(masker, json, {}, limit, found));
    if (bind.complete) return mask::Seal::Members(*known, bind, limit);
    found.clear();
  }
  std::string_view text = judged.text;
  mask::Tally tally;
  std::string masked;
  bool cut = false;
  if (text.size() > at.record_bytes) {
    // Masked as a whole, then cut: a cut number is no longer recognised.
    if (masker.MaskText(text, {}, masked, tally)) text = masked;
    cut = text.size() > at.record_bytes;
    text = text.substr(0, at.record_bytes);
  }
  json = "{\"sql\":";
  AppendText(json, text);
  if (bound) {
    json += ',';
    AppendParameters(json, judged, *parameters, types, at.record_bytes * 2);
  }
  if (cut) json += ",\"cut\":true";
  json += '}';
  mask::Seal::Count(tally, found);
  return mask::Seal::Json(masker, json, {}, limit, found);
}

}  // namespace

void AppendValue(std::string& json, std::string_view value, bool binary, uint32_t type,
                 size_t limit) {
  if (binary && AppendBinary(json, value, type, limit)) return;
  if (binary || value.size() > limit) {
    // The end of a long value is cut before the masking looks at it, so none of it is kept: half a
    // card number would pass as none.
    json += "\"(" + std::to_string(value.size()) + " bytes)\"";
    return;
  }
  AppendText(json, value);
}

std::shared_ptr<const op::SqlText> StatementOf(const sql::AnalysisPtr& analysis) {
  return {analysis, &analysis->text};
}

Result<op::Operation> ToOperation(const AskedAt& at, std::string_view method, Judged& judged,
                                  const BindParameters* parameters,
                                  const std::vector<uint32_t>* types) {
  op::Operation operation;
  operation.verb = op::Verb::sql;
  operation.method = method;
  operation.connection = at.connection;
  operation.labels = at.labels;
  operation.resource = at.database;
  operation.trace = judged.trace;
  operation.statement = judged.statement;
  operation.effect = judged.statement->known.complete ? judged.statement->worst : op::Effect::admin;
  operation.exact_sql.text = judged.text;
  if (parameters != nullptr) {
    operation.exact_sql.formats = parameters->formats;
    operation.exact_sql.values = parameters->values;
    operation.exact_sql.nulls = &parameters->nulls;
    if (types != nullptr) operation.exact_sql.types = *types;
  }
  if (judged.analysis->route == sql::Route::refused) operation.objection = judged.analysis->refusal;

  SALLYPORT_TRY(op::Payload payload, Record(at, judged, parameters, types, operation.masked));
  operation.argument_bytes = payload.total_bytes;
  operation.recorded_complete = payload.complete;
  operation.recorded_arguments = std::move(payload.text);
  return operation;
}

std::string TraceOfName(std::string_view application_name, const mask::Masker& masker) {
  const std::string_view id = TraceIdIn(application_name);
  return mask::HidesNumber(masker, id) ? std::string() : std::string(id);
}

std::string TraceOfText(std::string_view text, const mask::Masker& masker) {
  const size_t at = text.find("traceparent");
  const size_t opened = at == std::string_view::npos ? at : text.rfind("/*", at);
  if (opened == std::string_view::npos) return {};
  const std::string_view comment = text.substr(opened);
  const size_t end = comment.find("*/");
  if (end == std::string_view::npos || opened + end < at) return {};
  return TraceOfName(comment.substr(0, end), masker);
}

Result<op::Operation> ToObjection(const AskedAt& at, std::string_view method, Error objection) {
  op::Operation operation;
  operation.verb = op::Verb::sql;
  operation.effect = op::Effect::admin;
  operation.method = method;
  operation.connection = at.connection;
  operation.labels = at.labels;
  operation.resource = at.database;
  operation.statement = std::make_shared<const op::SqlText>(
      op::SqlText{.statements = {}, .known = {}, .worst = op::Effect::admin});
  operation.objection = std::move(objection);
  return operation;
}

}  // namespace sallyport::pg
