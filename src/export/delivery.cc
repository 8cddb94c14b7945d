#include "export/delivery.h"

namespace sallyport::exporting {

Result<std::vector<Refused>> PostDividing(
    std::span<const Item> items, const std::function<Result<Answer>(std::span<const Item>)>& post) {
  std::vector<Refused> refused;
  bool any = false;
  std::string why;
  std::vector<std::span<const Item>> todo{items};  // the last one is next
  while (!todo.empty()) {
    const std::span<const Item> part = todo.back();
    todo.pop_back();
    SALLYPORT_TRY(const Answer answer, post(part));
    if (answer.kind != Answer::Kind::refused && part.size() > 1) any = true;
    if (answer.kind == Answer::Kind::taken) {
      any = true;
      continue;
    }
    why = answer.why;
    if (part.size() == 1) {
      refused.push_back({part.front().index, answer.why});
      continue;
    }
    const size_t half = part.size() / 2;
    todo.push_back(part.subspan(half));
    todo.push_back(part.first(half));
  }
  if (!any && !refused.empty())
    return Fail(Errc::upstream_protocol, "the receiver takes none of the events: " + why);
  return refused;
}

}  // namespace sallyport::exporting
