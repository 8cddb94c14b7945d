#include "pg/row_mask_binary.h"

#include <bit>
#include <cmath>
#include <string>

#include "mask/pg_value.h"
#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr uint64_t kLeast = 100'000'000'000;  // twelve digits

uint64_t Load64(std::string_view v) {
  return uint64_t{Load32(v.data())} << 32 | Load32(v.data() + 4);
}

uint64_t Magnitude(uint64_t bits) { return static_cast<int64_t>(bits) < 0 ? 0 - bits : bits; }

bool Holds(const mask::Masker::Impl& impl, std::string_view type, std::string_view value,
           const mask::Context& context) {
  return mask::MaskPgValue(impl, {.name = type, .binary = true}, value, context).has_value();
}

/// range_send(): flags, then each finite bound with its length.
bool RangeHoldsCard(const mask::Masker::Impl& impl, std::string_view element,
                    std::string_view value, const mask::Context& context) {
  if (value.empty()) return false;
  BodyReader r(value.substr(1));
  while (!r.rest().empty() && !r.failed()) {
    const std::string_view bound = r.Bytes(r.U32());
    if (!r.failed() && Holds(impl, element, bound, context)) return true;
  }
  return r.failed();  // what cannot be read may hold anything
}

}  // namespace

bool BinaryNumberMayBeCard(std::string_view type, std::string_view value) {
  if (type == "numeric") {
    // Digits, weight of the first group of four, sign, scale.
    if (value.size() < 8) return false;
    const int weight = static_cast<int16_t>(Load16(value.data() + 2));
    return weight >= 2 && weight <= 9;
  }
  if (value.size() != 8) return false;
  if (type == "float8") {
    const double d = std::fabs(std::bit_cast<double>(Load64(value)));
    return d >= double(kLeast) && d < 1e19;
  }
  return Magnitude(Load64(value)) >= kLeast;
}

bool BinaryHoldsCard(const mask::Masker::Impl& impl, std::string_view type, std::string_view value,
                     const mask::Context& context) {
  if (type == "money") {
    if (value.size() != 8) return false;
    char units[8];
    const uint64_t whole = Magnitude(Load64(value)) / 100;
    Store32(units, static_cast<uint32_t>(whole >> 32));
    Store32(units + 4, static_cast<uint32_t>(whole));
    return Holds(impl, "int8", {units, 8}, context) || Holds(impl, "int8", value, context);
  }
  const bool numeric = type.starts_with("num");
  const std::string_view element = numeric ? "numeric" : "int8";
  if (type.find("multi") == std::string_view::npos)
    return RangeHoldsCard(impl, element, value, context);
  BodyReader r(value);
  const uint32_t count = r.U32();
  for (uint32_t i = 0; i < count && !r.failed(); ++i) {
    const std::string_view range = r.Bytes(r.U32());
    if (!r.failed() && RangeHoldsCard(impl, element, range, context)) return true;
  }
  return r.failed();
}

}  // namespace sallyport::pg
