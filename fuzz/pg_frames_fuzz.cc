// Messages of either side, as bytes that come in any pieces: heads, bodies read field by field in
// any order, RowDescriptions, and the errors and parameters of a server.
#include <cstdint>
#include <string>
#include <string_view>

#include "pg/frame.h"
#include "pg/row_mask.h"
#include "pg/server_wire.h"

using namespace sallyport;
using namespace sallyport::pg;

namespace {

void Require(bool good) {
  if (!good) __builtin_trap();
}

/// `steps` says what is read; a reader never goes back, never past the end, and stays failed.
void Fields(std::string_view body, std::string_view steps) {
  BodyReader reader(body);
  for (const char step : steps) {
    const size_t before = reader.rest().size();
    const bool failed = reader.failed();
    size_t taken = 0;
    switch (step & 7) {
      case 0:
        reader.U8(), taken = 1;
        break;
      case 1:
        reader.U16(), taken = 2;
        break;
      case 2:
        reader.U32(), taken = 4;
        break;
      case 3:
        taken = reader.CString().size() + 1;
        break;
      case 4:
        // A length that the body itself gives, as cells have it.
        taken = 4;
        if (const int32_t n = reader.I32(); n >= 0) taken += reader.Bytes(size_t(n)).size();
        break;
      default:
        taken = size_t(step & 0xff);
        reader.Bytes(taken);
    }
    if (failed) Require(reader.failed());
    if (!reader.failed()) Require(reader.rest().size() + taken == before);
    Require(reader.rest().size() <= before);
    Require(reader.done() == (!reader.failed() && reader.rest().empty()));
  }
}

/// Printable ASCII but for the marks of what was taken out, and no number of four digits.
void Redacted(std::string text) {
  constexpr std::string_view kMark = "…";
  size_t digits = 0;
  for (size_t at; (at = text.find(kMark)) != text.npos;) text.replace(at, kMark.size(), " ");
  for (const char c : text) {
    Require(c >= ' ' && c < 0x7f);
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    Require(digits < 4);
  }
}

void Message(char type, std::string_view body) {
  Server server;
  switch (type) {
    case 'E':
    case 'N': {
      const ServerError error = ReadError(body);
      Require(error.sqlstate.size() == 5);
      Require(error.message.size() <= 256);
      Redacted(error.message);
      return;
    }
    case 'S':
      if (KeepParameter(server, body)) Require(server.parameters.size() == 1);
      return;
    case 'T':
      if (const auto shape = Shape::Read(body)) {
        Require((*shape)->raw == body);
        const int16_t binary[] = {1};
        Require((*shape)->With(binary)->columns.size() == (*shape)->columns.size());
      }
      return;
    default:
      Fields(body, body.substr(0, 64));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string copied;
  while (const auto head = PeekHead(input)) {
    if (head->length < 4 || head->total() > input.size()) break;
    const std::string_view body = input.substr(FrameHead::kSize, head->body());
    if (head->type != 0) {
      const size_t at = copied.size();
      MessageWriter(copied).Begin(head->type).Bytes(body).End();
      Require(std::string_view(copied).substr(at) == input.substr(0, head->total()));
    }
    Message(head->type, body);
    input.remove_prefix(head->total());
  }
  Fields(input, input.substr(0, 64));
  return 0;
}
