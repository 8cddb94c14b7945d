#include "obs/log.h"
#include "pg/pan_map.h"
#include "pg/session.h"

namespace sallyport::pg {

/// What content masking found in the result so far goes to the map of its connection. Of a column
/// that is to be classified, the catalog knows before the result ends: whoever is told the result
/// has the next statement judged by it.
Session::Await Session::MapFound() {
  PanMap& map = *place_.config.pan_map;
  if (!result_.shape || !result_.mask || pending_.empty()) co_return true;
  const RowTally& tally = result_.tally;
  const ShapePtr shape = result_.shape;
  const auto mask = result_.mask;
  const std::shared_ptr<const sql::Catalog> catalog =
      pending_.front().judged ? pending_.front().judged->catalog : nullptr;
  bool classify = false;
  result_.mapped.resize(std::max(result_.mapped.size(), tally.columns()));
  for (size_t i = 0; i < tally.columns(); ++i) {
    const uint32_t found = tally.pans(i) - std::exchange(result_.mapped[i], tally.pans(i));
    if (found == 0 || i >= shape->columns.size() || mask->ByOrigin(i)) continue;
    const ResultColumn& column = shape->columns[i];
    const auto entry = map.Add({column.relation, column.attribute}, found,
                               front_.options.clock.WallNow(), catalog.get());
    if (!entry) continue;
    obs::Log(obs::Level::warn, "pg.column_found",
             {{"connection", place_.config.name},
              {"column", PanColumnName(*entry)},
              {"values", entry->values},
              {"classified", map.classifies()}});
    const auto recorded =
        front_.options.gate.Record(ColumnFound(*entry, place_.config.name, map.classifies()));
    if (!recorded) {
      stop_ = recorded.error();
      co_return false;
    }
    classify |= map.classifies();
  }
  // A database that does not answer now is asked again by the timer.
  if (classify) (void)co_await place_.catalog.Newer(place_.catalog.version());
  co_return !stop_;
}

}  // namespace sallyport::pg
