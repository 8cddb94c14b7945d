#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mask/masker.h"

namespace sallyport::mask {

/// What a text is: plain text, one JSON text, or PostgreSQL rows in their test form
/// (mask/sql_row.h).
enum class TextFormat { text, json, sql_row };

/// Masks `text` and gives the result and the findings. A "json" text that is not JSON is masked as
/// plain text. mask_failed: sql_row lines that cannot be read.
struct MaskedRecord {
  std::string text;
  std::vector<Finding> findings;
};
Result<MaskedRecord> MaskRecord(const Masker& masker, TextFormat format, std::string_view text);

/// One line {"id","text","format"} of `sallyport mask --jsonl` and its answer
/// {"id","text","findings":[{"kind","network","start","end","evidence"}]} without a line end.
/// `start` and `end` count characters (Unicode code points) of the input text, `end` exclusive;
/// `evidence` is a list of names. request_malformed: not such a line.
Result<std::string> MaskCorpusLine(const Masker& masker, std::string_view line);

/// The detectors of a run without a configuration: card numbers, last four visible, and sensitive
/// authentication data.
std::vector<DetectorSpec> DefaultDetectors();

}  // namespace sallyport::mask
