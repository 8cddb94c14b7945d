// A statement from anyone: never a crash, and what cannot be read is never mistaken for harmless.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "sql/classify.h"

using namespace sallyport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto check = [](bool holds) {
    if (!holds) std::abort();
  };
  auto text = sql::Classify({reinterpret_cast<const char*>(data), size});
  if (!text.known.complete) {
    check(text.statements.empty() && text.worst == op::Effect::admin &&
          text.known.reason == "sql-unparsable");
    return 0;
  }
  for (const auto& statement : text.statements) {
    check(!statement.kind.empty() && statement.effect <= text.worst);
    for (const auto& relation : statement.relations) {
      check(!relation.name.empty());
      check(!relation.written || statement.effect > op::Effect::read);
    }
    for (const auto& function : statement.risky) {
      check(std::ranges::find(statement.functions, function) != statement.functions.end());
    }
    check(!statement.missing_where || statement.effect > op::Effect::read);
  }
  return 0;
}
