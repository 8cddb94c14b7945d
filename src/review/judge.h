#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "review/day.h"

namespace sallyport::review {

/// What a person should look at.
struct Item {
  std::string kind;    // "figure", "person", "new", or that of a Day::Note
  std::string text;    // one line
  uint64_t index = 0;  // of an entry, if `has_index`
  bool has_index = false;
  std::string person;  // whom it is about, if anybody
};

struct Review {
  Day day;
  uint32_t baseline_days = 0;
  std::vector<Item> items;
  uint64_t left_out = 0;  // beyond kMostItems
};

inline constexpr size_t kMostItems = 150;
inline constexpr uint32_t kBaselineDays = 28, kLeastDays = 7;

/// What of `day` is worth a look, against the days before it that have entries. Pure; the same
/// input gives the same review. The rule:
///
/// * every Note of the day, whatever other days were like;
/// * with at least kLeastDays days to compare with, every figure x with |x − m| > 3·max(s, √m, 1),
/// m
///   being its mean over these days and s its standard deviation; and every person or agent who has
///   worked on them before, for the number of operations, if it is that much above;
/// * with at least one such day, every person, agent, connection and tool that none of them has.
Review Judge(Day day, const std::vector<Day>& before);

/// `facts` of the entry review.made: figures, the longest lists cut to their largest members, and
/// the items, numbered from 1. One line of JSON below 30,000 bytes.
std::string ReviewToJson(const Review& review);

/// The same for people, as Markdown, out of these facts and who has signed (lines). Control
/// characters are escaped.
std::string ReviewToMarkdown(std::string_view facts, const std::vector<std::string>& signatures);

}  // namespace sallyport::review
