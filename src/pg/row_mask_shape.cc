#include "pg/frame.h"
#include "pg/row_mask.h"

namespace sallyport::pg {

Result<ShapePtr> Shape::Read(std::string_view body) {
  auto shape = std::make_shared<Shape>();
  shape->raw = body;
  BodyReader r(body);
  const uint16_t columns = r.U16();
  shape->columns.reserve(std::min<size_t>(columns, 1664));
  for (uint16_t i = 0; i < columns && !r.failed(); ++i) {
    ResultColumn column;
    column.name = r.CString();
    column.relation = r.U32();
    column.attribute = r.I16();
    column.type = r.U32();
    (void)r.U16();  // length
    (void)r.U32();  // modifier
    column.binary = r.I16() == 1;
    shape->long_names |= column.name.size() >= 12;
    shape->columns.push_back(std::move(column));
  }
  if (!r.done()) return Fail(Errc::upstream_protocol, "a malformed RowDescription");
  return ShapePtr(std::move(shape));
}

ShapePtr Shape::With(std::span<const int16_t> formats) const {
  auto shape = std::make_shared<Shape>(*this);
  for (size_t i = 0; i < shape->columns.size(); ++i) {
    const int16_t format = formats.empty()       ? int16_t{0}
                           : formats.size() == 1 ? formats[0]
                           : i < formats.size()  ? formats[i]
                                                 : int16_t{0};
    shape->columns[i].binary = format == 1;
  }
  // `raw` says the same: shapes are compared by it.
  size_t at = 2;
  for (const ResultColumn& column : shape->columns) {
    at += column.name.size() + 1 + 18;
    Store16(shape->raw.data() + at - 2, column.binary ? 1 : 0);
  }
  return shape;
}

}  // namespace sallyport::pg
