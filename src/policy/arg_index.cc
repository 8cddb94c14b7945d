#include "policy/arg_index.h"

#include <algorithm>
#include <map>
#include <re2/re2.h>
#include <re2/set.h>
#include <set>

namespace sallyport::policy {
namespace {

using Test = ArgMatcher::Test;
using Rules = std::vector<uint32_t>;

constexpr size_t kPatternsForSet = 8;  // fewer are quicker one by one
constexpr int64_t kPatternMemory = 16 << 20;

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
struct DecimalHash {
  size_t operator()(const Decimal& d) const { return d.Hash(); }
};

void Change(std::vector<int32_t>& open, const Rules& rules, int32_t by) {
  for (uint32_t rule : rules) open[rule] += by;
}

template <typename Map, typename Key>
void Meet(std::vector<int32_t>& open, const Map& map, const Key& key) {
  if (auto at = map.find(key); at != map.end()) Change(open, at->second, -1);
}

/// Conditions `lte: 100` of many rules, sorted by the number.
struct Thresholds {
  std::vector<std::pair<Decimal, uint32_t>> sorted;

  void Seal() {
    std::ranges::sort(sorted, [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  size_t Below(const Decimal& value) const {
    return static_cast<size_t>(
        std::ranges::lower_bound(sorted, value, {}, &std::pair<Decimal, uint32_t>::first) -
        sorted.begin());
  }
  size_t UpTo(const Decimal& value) const {
    return static_cast<size_t>(
        std::ranges::upper_bound(sorted, value, {}, &std::pair<Decimal, uint32_t>::first) -
        sorted.begin());
  }
  void Meet(size_t from, size_t to, std::vector<int32_t>& open) const {
    for (size_t i = from; i < to; ++i) --open[sorted[i].second];
  }
};

}  // namespace

/// Conditions `matches` on one argument.
struct ArgIndex::PatternTests {
  std::vector<std::pair<std::shared_ptr<const re2::RE2>, uint32_t>> patterns;
  std::unique_ptr<re2::RE2::Set> set;  // all of them, if that pays

  void Seal() {
    if (patterns.size() < kPatternsForSet) return;
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kPatternMemory);
    auto all = std::make_unique<re2::RE2::Set>(options, re2::RE2::ANCHOR_BOTH);
    for (const auto& [pattern, rule] : patterns) {
      if (all->Add(pattern->pattern(), nullptr) < 0) return;
    }
    if (all->Compile()) set = std::move(all);
  }

  void Visit(std::string_view text, std::vector<int32_t>& open) const {
    re2::StringPiece piece(text.data(), text.size());
    if (set) {
      std::vector<int> hits;
      re2::RE2::Set::ErrorInfo error{};
      if (set->Match(piece, &hits, &error)) {
        for (int hit : hits) --open[patterns[static_cast<size_t>(hit)].second];
        return;
      }
      if (error.kind == re2::RE2::Set::kNoError) return;
    }
    for (const auto& [pattern, rule] : patterns) {
      if (re2::RE2::FullMatch(piece, *pattern)) --open[rule];
    }
  }
};

/// What stands at the end of one path. A rule that holds back counts an `unsure` as met; its
/// conditions are therefore listed a second time, in the members that end in `_holds`.
struct ArgIndex::Tests {
  Rules absent_all, absent_allows;
  Rules present_all, present_holds;

  std::unordered_map<std::string, Rules, TextHash, std::equal_to<>> text;
  std::unordered_map<Decimal, Rules, DecimalHash> number;
  Rules yes, no, null;
  Rules equal_holds;
  std::map<json::Kind, Rules> other_holds;  // conditions that have no value of this kind

  Thresholds lt, lte, gt, gte;
  Rules order_holds;

  PatternTests patterns;
  Rules pattern_holds;

  Tests() {
    using json::Kind;
    for (auto kind : {Kind::null, Kind::boolean, Kind::number, Kind::string}) other_holds[kind];
  }

  void AddEqual(uint32_t rule, const ArgConditions::Condition& condition, bool holding_back) {
    // A value that is listed twice still meets its condition once.
    std::set<const Rules*> added;
    auto add = [&](Rules& rules) {
      if (added.insert(&rules).second) rules.push_back(rule);
    };
    for (const auto& literal : condition.literals) {
      switch (literal.kind) {
        case json::Kind::string:
          add(text[literal.text]);
          break;
        case json::Kind::number:
          add(number[literal.number]);
          break;
        case json::Kind::boolean:
          add(literal.truth ? yes : no);
          break;
        default:
          add(null);
          break;
      }
    }
    if (!holding_back) return;
    equal_holds.push_back(rule);
    for (auto& [kind, rules] : other_holds) {
      if (std::ranges::none_of(condition.literals,
                               [&](const auto& literal) { return literal.kind == kind; }))
        rules.push_back(rule);
    }
  }

  void VisitNumber(json::Value value, std::vector<int32_t>& open) const {
    auto number_read = Decimal::Parse(value.raw());
    if (!number_read) {
      Change(open, equal_holds, -1);
      Change(open, order_holds, -1);
      return;
    }
    Change(open, other_holds.at(json::Kind::number), -1);
    Meet(open, number, *number_read);
    lt.Meet(lt.UpTo(*number_read), lt.sorted.size(), open);
    lte.Meet(lte.Below(*number_read), lte.sorted.size(), open);
    gt.Meet(0, gt.Below(*number_read), open);
    gte.Meet(0, gte.UpTo(*number_read), open);
  }

  void Visit(json::Value value, std::vector<int32_t>& open) const {
    bool is_null = value.is(json::Kind::null);
    Change(open, is_null ? absent_allows : absent_all, 1);
    Change(open, is_null ? present_holds : present_all, -1);
    switch (value.kind()) {
      case json::Kind::string: {
        const std::string_view given = value.string().value_or("");
        Meet(open, text, given);
        patterns.Visit(given, open);
        break;
      }
      case json::Kind::boolean:
        Change(open, value.boolean().value_or(false) ? yes : no, -1);
        break;
      case json::Kind::null:
        Change(open, null, -1);
        break;
      case json::Kind::number:
        VisitNumber(value, open);
        Change(open, pattern_holds, -1);
        return;
      default:
        Change(open, equal_holds, -1);
        Change(open, order_holds, -1);
        Change(open, pattern_holds, -1);
        return;
    }
    Change(open, other_holds.at(value.kind()), -1);
    Change(open, order_holds, -1);
    if (!value.is(json::Kind::string)) Change(open, pattern_holds, -1);
  }
};

/// One part of the paths.
struct ArgIndex::Node {
  std::unordered_map<std::string, std::unique_ptr<Node>, TextHash, std::equal_to<>> children;
  std::vector<std::pair<uint32_t, const Node*>> elements;  // children that are indexes, sorted
  std::unique_ptr<Tests> tests;

  // If the way leads into something that has no members, nothing behind it can be told: what that
  // means for the conditions of the children. `named`: of those children that are no indexes.
  Rules met, lost, named_met, named_lost;

  void Unsure(std::vector<int32_t>& open) const {
    Change(open, met, -1);
    Change(open, lost, 1);
  }
};

ArgIndex::ArgIndex() : root_(std::make_unique<Node>()) {}
ArgIndex::~ArgIndex() = default;
ArgIndex::ArgIndex(ArgIndex&&) noexcept = default;
ArgIndex& ArgIndex::operator=(ArgIndex&&) noexcept = default;

ArgIndex::Node& ArgIndex::NodeOf(const std::vector<std::string>& path) {
  Node* at = root_.get();
  for (const auto& part : path) {
    auto& child = at->children[part];
    if (!child) child = std::make_unique<Node>();
    at = child.get();
  }
  return *at;
}

void ArgIndex::AddTests(Node& node, uint32_t rule, const ArgConditions::Condition& condition,
                        bool holding_back) {
  if (!node.tests) node.tests = std::make_unique<Tests>();
  Tests& tests = *node.tests;
  switch (condition.test) {
    case Test::absent:
      tests.absent_all.push_back(rule);
      if (!holding_back) tests.absent_allows.push_back(rule);
      return;
    case Test::present:
      tests.present_all.push_back(rule);
      if (holding_back) tests.present_holds.push_back(rule);
      return;
    case Test::matches:
      tests.patterns.patterns.emplace_back(condition.pattern, rule);
      if (holding_back) tests.pattern_holds.push_back(rule);
      return;
    case Test::lt:
      tests.lt.sorted.emplace_back(condition.literals[0].number, rule);
      break;
    case Test::lte:
      tests.lte.sorted.emplace_back(condition.literals[0].number, rule);
      break;
    case Test::gt:
      tests.gt.sorted.emplace_back(condition.literals[0].number, rule);
      break;
    case Test::gte:
      tests.gte.sorted.emplace_back(condition.literals[0].number, rule);
      break;
    case Test::eq:
    case Test::in:
      tests.AddEqual(rule, condition, holding_back);
      return;
  }
  if (holding_back) tests.order_holds.push_back(rule);
}

void ArgIndex::Add(const ArgConditions& conditions, bool holding_back) {
  auto rule = static_cast<uint32_t>(base_.size());
  base_.push_back(0);
  for (const auto& condition : conditions.conditions_) {
    Node& node = NodeOf(condition.path);
    AddTests(node, rule, condition, holding_back);
    bool absent = condition.test == Test::absent;
    if (!absent) ++base_.back();
    if (absent == holding_back) continue;
    // Every node on the way, but not the last: there the value itself is looked at.
    Node* at = root_.get();
    for (const auto& part : condition.path) {
      (absent ? at->lost : at->met).push_back(rule);
      if (!AsIndex(part)) (absent ? at->named_lost : at->named_met).push_back(rule);
      at = at->children.find(part)->second.get();
    }
  }
}

void ArgIndex::SealNode(Node& node) {
  if (node.tests) {
    for (auto* side : {&node.tests->lt, &node.tests->lte, &node.tests->gt, &node.tests->gte})
      side->Seal();
    node.tests->patterns.Seal();
  }
  for (const auto& [part, child] : node.children) {
    if (auto index = AsIndex(part)) node.elements.emplace_back(*index, child.get());
    SealNode(*child);
  }
  std::ranges::sort(node.elements);
}

void ArgIndex::Seal() { SealNode(*root_); }

void ArgIndex::Visit(const Node& node, json::Value value, std::vector<int32_t>& open) {
  if (node.tests) node.tests->Visit(value, open);
  if (node.children.empty()) return;
  if (value.is(json::Kind::object)) {
    for (json::Value member = value.first(); member; member = member.next()) {
      if (auto at = node.children.find(member.key()); at != node.children.end())
        Visit(*at->second, member, open);
    }
  } else if (value.is(json::Kind::array)) {
    Change(open, node.named_met, -1);
    Change(open, node.named_lost, 1);
    json::Value element = value.first();
    uint32_t index = 0;
    for (const auto& [wanted, child] : node.elements) {
      for (; element && index < wanted; ++index) element = element.next();
      if (!element) break;
      Visit(*child, element, open);
    }
  } else {
    node.Unsure(open);
  }
}

std::vector<int32_t> ArgIndex::Open(json::Value arguments) const {
  std::vector<int32_t> open = base_;
  if (arguments) Visit(*root_, arguments, open);
  return open;
}

}  // namespace sallyport::policy
