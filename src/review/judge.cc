#include "review/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace sallyport::review {
namespace {

struct Usual {
  double mean = 0, spread = 0;
};

template <class Read>
Usual UsualOf(const std::vector<Day>& days, Read read) {
  Usual usual;
  for (const Day& day : days) usual.mean += read(day);
  usual.mean /= double(days.size());
  double squares = 0;
  for (const Day& day : days) squares += std::pow(read(day) - usual.mean, 2);
  const double deviation = std::sqrt(squares / double(days.size()));
  usual.spread = std::max({deviation, std::sqrt(usual.mean), 1.0});
  return usual;
}

double CountOf(const std::map<std::string, uint64_t>& counts, const std::string& name) {
  const auto at = counts.find(name);
  return at == counts.end() ? 0 : double(at->second);
}

std::string Compared(double value, const Usual& usual, size_t days) {
  char text[120];
  std::snprintf(text, sizeof text, "%.0f, usually %.1f ± %.1f in %zu days", value, usual.mean,
                usual.spread, days);
  return text;
}

class Judging {
 public:
  Judging(Review& review, const std::vector<Day>& before) : review_(review), before_(before) {}

  void Run() {
    for (const Day::Note& note : review_.day.notes)
      Add({.kind = note.kind, .text = note.text, .index = note.index, .has_index = true});
    if (before_.size() >= kLeastDays) {
      CompareFigures();
      ComparePersons();
    }
    if (!before_.empty()) FindNew();
    review_.left_out += review_.day.notes_left_out;
  }

 private:
  void Add(Item item) {
    if (review_.items.size() >= kMostItems)
      ++review_.left_out;
    else
      review_.items.push_back(std::move(item));
  }

  void CompareFigures() {
    for (const Figure& figure : Figures()) {
      const std::string name(figure.name);
      const double value = CountOf(review_.day.figures, name);
      const Usual usual =
          UsualOf(before_, [&](const Day& day) { return CountOf(day.figures, name); });
      if (std::abs(value - usual.mean) <= 3 * usual.spread) continue;
      Add({.kind = "figure",
           .text = std::string(figure.means) + ": " + Compared(value, usual, before_.size())});
    }
  }

  void ComparePersons() {
    for (const auto& [person, count] : review_.day.operations_by_person) {
      const Usual usual = UsualOf(
          before_, [&](const Day& day) { return CountOf(day.operations_by_person, person); });
      if (usual.mean == 0 || double(count) - usual.mean <= 3 * usual.spread) continue;
      Add({.kind = "person",
           .text = person + ": operations " + Compared(double(count), usual, before_.size()),
           .person = person});
    }
  }

  void FindNew() {
    struct Kind {
      const char* name;
      std::set<std::string> Day::* names;
    };
    for (const Kind& kind : {Kind{"person", &Day::persons}, Kind{"agent", &Day::agents},
                             Kind{"connection", &Day::connections}, Kind{"tool", &Day::tools}}) {
      for (const std::string& name : review_.day.*kind.names) {
        if (std::ranges::any_of(before_,
                                [&](const Day& day) { return (day.*kind.names).contains(name); }))
          continue;
        const bool person = kind.names == &Day::persons || kind.names == &Day::agents;
        Add({.kind = "new",
             .text = std::string(kind.name) + " " + name + " was never seen in " +
                     std::to_string(before_.size()) + " days before",
             .person = person ? name : ""});
      }
    }
  }

  Review& review_;
  const std::vector<Day>& before_;
};

}  // namespace

Review Judge(Day day, const std::vector<Day>& before) {
  Review review;
  review.day = std::move(day);
  std::vector<Day> compared;
  for (const Day& one : before) {
    if (one.entries > 0) compared.push_back(one);
  }
  review.baseline_days = uint32_t(compared.size());
  Judging(review, compared).Run();
  return review;
}

}  // namespace sallyport::review
