#include "mask/corpus_format.h"

#include <algorithm>

#include "mask/impl.h"
#include "mask/json_mask.h"
#include "mask/json_scan.h"
#include "mask/sql_row.h"

namespace sallyport::mask {
namespace {

/// Characters before each byte position that is asked for, in order.
class CharacterCount {
 public:
  explicit CharacterCount(std::string_view text) : text_(text) {}
  size_t At(size_t byte) {
    if (byte < byte_) byte_ = characters_ = 0;
    for (; byte_ < byte; byte_++)
      characters_ += (static_cast<unsigned char>(text_[byte_]) & 0xc0) != 0x80;
    return characters_;
  }

 private:
  std::string_view text_;
  size_t byte_ = 0, characters_ = 0;
};

std::string_view KindName(DetectorKind kind) {
  switch (kind) {
    case DetectorKind::pan:
      return "pan";
    case DetectorKind::sad:
      return "sad";
    case DetectorKind::regex:
      return "regex";
  }
  return "regex";
}

}  // namespace

std::vector<DetectorSpec> DefaultDetectors() {
  return {{.name = "pan", .kind = DetectorKind::pan}, {.name = "sad", .kind = DetectorKind::sad}};
}

Result<MaskedRecord> MaskRecord(const Masker& masker, TextFormat format, std::string_view text) {
  MaskedRecord record;
  Tally tally;
  switch (format) {
    case TextFormat::json: {
      const auto changed = masker.MaskJson(text, {}, record.text, tally, &record.findings);
      if (changed) {
        if (!*changed) record.text = text;
        return record;
      }
      [[fallthrough]];
    }
    case TextFormat::text:
      if (!masker.MaskText(text, {}, record.text, tally, record.findings)) record.text = text;
      return record;
    case TextFormat::sql_row: {
      Found found;
      SALLYPORT_CHECK(FindInSqlRows(masker.impl(), text, found));
      NormalizeEdits(found.edits);
      record.text = ApplyEdits(text, found.edits);
      record.findings = std::move(found.findings);
      return record;
    }
  }
  return record;
}

Result<std::string> MaskCorpusLine(const Masker& masker, std::string_view line) {
  std::vector<JsonNode> nodes;
  if (!ScanJson(line, 64, nodes) || nodes[0].type != JsonType::object) {
    return Fail(Errc::request_malformed, "the line is not a JSON object");
  }
  std::string id = "null", text, format = "text";
  bool has_text = false;
  for (uint32_t k = 1; k < nodes[0].next; k = nodes[k].next) {
    const JsonNode& n = nodes[k];
    const std::string_view key = line.substr(n.key_begin + 1, n.key_end - n.key_begin - 2);
    const std::string_view token = line.substr(n.begin, n.end - n.begin);
    if (key == "id") id = token;
    if (n.type != JsonType::string) continue;
    if (key == "text") text = DecodeJsonString(token).text, has_text = true;
    if (key == "format") format = DecodeJsonString(token).text;
  }
  if (!has_text) return Fail(Errc::request_malformed, "the line has no \"text\"");
  if (format != "text" && format != "json" && format != "sql_row") {
    return Fail(Errc::request_malformed, "\"format\" must be text, json or sql_row");
  }
  SALLYPORT_TRY(const MaskedRecord record, MaskRecord(masker,
                                                      format == "json"      ? TextFormat::json
                                                      : format == "sql_row" ? TextFormat::sql_row
                                                                            : TextFormat::text,
                                                      text));
  std::string out =
      "{\"id\":" + id + ",\"text\":\"" + EscapeJson(record.text) + "\",\"findings\":[";
  CharacterCount count(text);
  bool first = true;
  for (const Finding& f : record.findings) {
    const size_t start = count.At(f.begin), end = count.At(f.end);
    out += first ? "" : ",";
    first = false;
    out += "{\"kind\":\"" + std::string(KindName(f.kind)) +
           "\",\"network\":" + (f.network.empty() ? "null" : '"' + std::string(f.network) + '"') +
           ",\"start\":" + std::to_string(start) + ",\"end\":" + std::to_string(end) +
           ",\"evidence\":[";
    bool comma = false;
    for (std::string_view name : EvidenceNames(f.evidence)) {
      out += (comma ? ",\"" : "\"") + std::string(name) + '"';
      comma = true;
    }
    out += "]}";
  }
  return out + "]}";
}

}  // namespace sallyport::mask
