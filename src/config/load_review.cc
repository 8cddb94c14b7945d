#include <cstdio>

#include "config/sections.h"
#include "config/units.h"

// The sections review and integrity.

namespace sallyport::config {

using namespace std::chrono_literals;

void ReadReview(Context& context, const Node& node, Root& root, Places& places) {
  Fields fields(context, node, "review");
  review::Config& review = root.review;
  review.on = fields.Bool("enabled").value_or(true);
  if (const auto at = fields.Text("at")) {
    unsigned hour = 0, minute = 0;
    int end = 0;
    const bool read = std::sscanf(at->c_str(), "%2u:%2u%n", &hour, &minute, &end) == 2 &&
                      at->size() == 5 && end == 5;
    if (read && hour < 24 && minute < 60) {
      review.at = std::chrono::hours(hour) + std::chrono::minutes(minute);
    } else {
      context.Error(fields.ValueMark("at"), kCfgBadValue,
                    "review.at: \"" + *at + "\" is no time of day",
                    "write HH:MM in UTC, in quotes: \"06:00\"");
    }
  }
  review.who = ReadWho(fields, "who", false, places);
  if (const auto days = fields.Count("sign_within_days", 1, 31))
    review.sign_within_days = uint32_t(*days);
  for (const std::string& who : review.who) {
    if (!who.starts_with("agent:")) continue;
    context.Error(fields.ValueMark("who"), kCfgBadValue, "review.who names an agent",
                  "a review is signed by a person: write group:NAME or user:NAME");
  }
  fields.Done();
}

void ReadIntegrity(Context& context, const Node& node, Root& root) {
  Fields fields(context, node, "integrity");
  if (const auto every = fields.Duration("every", 1s, 24h * 7)) root.integrity.every = *every;
  for (const std::string& file : fields.Texts("files"))
    root.integrity.files.push_back(context.Resolve(file));
  fields.Done();
}

}  // namespace sallyport::config
