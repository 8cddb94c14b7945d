#include "pg/copy_mask.h"

#include <algorithm>

#include "mask/pg_value.h"
#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr size_t kHeldField = 64 << 10;  // a longer field streams
constexpr uint32_t kNullField = 0xffffffff;

constexpr std::string_view kCopyHeader(
    "PGCOPY\n\xff\r\n\0"
    "\0\0\0\0\0\0\0\0",
    19);
constexpr std::string_view kSignature = kCopyHeader.substr(0, 11);

}  // namespace

bool IsBinaryCopy(std::string_view body) {
  BodyReader r(body);
  if (body.starts_with(kSignature)) {
    r.Bytes(15);
    r.Bytes(r.U32());
  }
  while (!r.failed() && !r.rest().empty()) {
    const uint16_t fields = r.U16();
    if (fields == 0xffff) return r.done();
    for (uint16_t i = 0; i < fields && !r.failed(); ++i) {
      const uint32_t size = r.U32();
      if (size != kNullField) r.Bytes(size);
    }
  }
  return r.done();
}

bool MaskBinaryCopy(const mask::Masker& masker, std::string_view body, std::string& out,
                    RowTally& tally) {
  const bool first = body.starts_with(kSignature);
  std::string whole;
  if (!first) whole.assign(kCopyHeader).append(body);
  const auto masked = mask::MaskPgBinaryCopy(masker.impl(), first ? body : whole, {});
  if (!masked || !masked->bytes) return false;
  for (const mask::Finding& f : masked->found.findings) tally.Add(0, f.kind);
  out.append(std::string_view(*masked->bytes).substr(first ? 0 : kCopyHeader.size()));
  return true;
}

bool LongBinaryCopy::Feed(std::string_view piece, std::string& out) {
  while (!piece.empty()) {
    if (state_ == State::done) return false;  // behind the trailer
    const std::string_view part = piece.substr(0, std::min(left_, piece.size()));
    piece.remove_prefix(part.size());
    left_ -= part.size();
    if (state_ == State::extension) {
      out.append(part);
    } else if (state_ == State::long_field) {
      long_->Feed(part, out);
    } else {
      held_.append(part);
    }
    if (left_ == 0) Take(out);
  }
  return true;
}

/// A part is complete: says what it is, and what comes next.
void LongBinaryCopy::Take(std::string& out) {
  const std::string part = std::exchange(held_, std::string());
  switch (state_) {
    case State::begin:
      if (part == kSignature) {
        held_ = part;
        return Expect(State::header, kCopyHeader.size() - part.size());
      }
      Expect(State::count, 2);  // a row: it is shorter than the message that it begins
      Feed(part, out);
      return;
    case State::header:
      out.append(part);
      Expect(State::extension, Load32(part.data() + 15));
      if (left_ == 0) Expect(State::count, 2);
      return;
    case State::extension:
      return Expect(State::count, 2);
    case State::count:
      out.append(part);
      fields_ = Load16(part.data());
      if (fields_ == 0xffff) return Expect(State::done, 0);
      return NextField();
    case State::size: {
      out.append(part);
      const uint32_t size = Load32(part.data());
      if (size == kNullField || size == 0) return NextField();
      if (size <= kHeldField) return Expect(State::field, size);
      long_.emplace(masker_, RowMask::Long::scan);
      return Expect(State::long_field, size);
    }
    case State::field: {
      const bool number = part.size() == 8 && static_cast<uint8_t>(part[0]) < 0x30;
      const mask::PgType type{.name = number ? "int8" : "text", .binary = true};
      const auto masked = mask::MaskPgValue(masker_->impl(), type, part, {});
      if (!masked) {
        out.append(part);
      } else {
        found_ += static_cast<uint32_t>(masked->found.findings.size());
        if (masked->bytes && masked->bytes->size() == part.size())
          out.append(*masked->bytes);
        else
          out.append(part.size(), '\0');
      }
      return NextField();
    }
    case State::long_field:
      long_->Finish(out);
      found_ += long_->found();
      long_.reset();
      return NextField();
    case State::done:
      return;
  }
}

void LongBinaryCopy::NextField() {
  if (fields_ == 0) return Expect(State::count, 2);
  --fields_;
  Expect(State::size, 4);
}

}  // namespace sallyport::pg
