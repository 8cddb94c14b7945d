#pragma once

#include <memory>
#include <vector>

#include "evidence_pack/history.h"
#include "evidence_pack/pack.h"

namespace sallyport::evidence_pack {

/// Something that looks at every entry and then says what it has seen. One per subject.
class Table {
 public:
  virtual ~Table() = default;
  /// In the order of the log; also entries before the period (Record::inside is false then).
  virtual void Add(const Record& record) = 0;
  /// After the last entry.
  virtual void Finish(Pack& pack, const History& history) = 0;
};

std::unique_ptr<Table> CallTable(Pack& pack);                      // 10.2.1.1, 7.2.6, 3.4.2
std::unique_ptr<Table> EventTables(Pack& pack, History& history);  // 10.2.1.2 to .7
std::unique_ptr<Table> FieldTable(Pack& pack);                     // 10.2.2
std::unique_ptr<Table> OperationTable(Pack& pack);                 // 10.3, 10.4, 10.5, 10.6, 11.5.2
std::unique_ptr<Table> PeopleTable(Pack& pack);                    // 8, 7.2.4, 7.2.5
std::unique_ptr<Table> CardTable(Pack& pack);                      // 3, 12.5.2, 12.10.7
std::unique_ptr<Table> KeyTable(Pack& pack);                       // 3.6, 3.7
/// What only the configuration says: 4, 7.2, 7.3, 12.3.3, 12.5.1. No entries needed.
void AddConfiguration(Pack& pack);

}  // namespace sallyport::evidence_pack
