#include "config/yaml.h"

#include <algorithm>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "base/bytes.h"

namespace sallyport::config {
namespace {

Mark At(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

/// Ends the parse; carries the problem out through yaml-cpp.
struct Stop {
  Mark mark;
  std::string_view code;
  std::string message, hint;
};

/// Builds the tree from yaml-cpp's events: its own tree drops duplicate keys silently and expands
/// aliases.
class Builder : public YAML::EventHandler {
 public:
  Builder(const YamlLimits& limits, std::vector<Problem>& problems, const std::string& file)
      : limits_(limits), problems_(problems), file_(file) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Leaf({.mark = At(mark)}); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Stop{At(mark), kCfgAlias, "aliases are not supported", "write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    if (tag != "?" && tag != "!" && !tag.empty()) {
      throw Stop{At(mark), kCfgSyntax, "tags such as " + tag + " are not supported",
                 "remove the tag"};
    }
    Leaf({.kind = Node::Kind::scalar, .mark = At(mark), .text = value, .quoted = tag == "!"});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open({.kind = Node::Kind::sequence, .mark = At(mark)});
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open({.kind = Node::Kind::map, .mark = At(mark)});
  }
  void OnMapEnd() override { Close(); }

  Node Take() {
    while (!open_.empty()) Close();
    return std::move(root_);
  }

 private:
  struct Frame {
    Node node;
    bool have_key = false;
    std::string key;
    Mark key_mark;
  };

  void Count(const Node& node) {
    if (++nodes_ > limits_.max_nodes)
      throw Stop{node.mark, kCfgTooLarge, "the file has too many values", ""};
  }
  void Leaf(Node node) {
    Count(node);
    Put(std::move(node));
  }
  void Open(Node node) {
    Count(node);
    if (open_.size() >= limits_.max_depth) {
      throw Stop{node.mark, kCfgTooLarge, "the file is nested too deeply", ""};
    }
    if (!open_.empty() && open_.back().node.is(Node::Kind::map) && !open_.back().have_key) {
      throw Stop{node.mark, kCfgSyntax, "a key has to be plain text", ""};
    }
    open_.push_back({.node = std::move(node)});
  }
  void Close() {
    Node done = std::move(open_.back().node);
    open_.pop_back();
    Put(std::move(done));
  }
  void Put(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = open_.back();
    if (frame.node.is(Node::Kind::sequence)) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.have_key) {
      frame.have_key = true;
      frame.key = std::move(node.text);
      frame.key_mark = node.mark;
    } else {
      frame.have_key = false;
      PutMember(frame, std::move(node));
    }
  }
  void PutMember(Frame& frame, Node node) {
    if (frame.key == "<<")
      throw Stop{frame.key_mark, kCfgAlias, "merge keys are not supported", "write the keys out"};
    auto& members = frame.node.members;
    auto first = std::ranges::find(members, frame.key, &Node::Member::key);
    if (first != members.end()) {
      problems_.push_back({file_, frame.key_mark.line, frame.key_mark.column, kCfgDuplicateKey,
                           Severity::error,
                           "key \"" + frame.key + "\" stands here for the second time",
                           "keep one; the first is in line " + std::to_string(first->mark.line)});
      return;
    }
    members.push_back({std::move(frame.key), frame.key_mark, std::move(node)});
  }

  const YamlLimits& limits_;
  std::vector<Problem>& problems_;
  const std::string& file_;
  std::vector<Frame> open_;
  Node root_;
  size_t nodes_ = 0;
};

Mark MarkOf(std::string_view text, size_t offset) {
  auto before = text.substr(0, offset);
  auto line = std::ranges::count(before, '\n');
  auto begin = before.rfind('\n');
  size_t column = begin == std::string_view::npos ? offset : offset - begin - 1;
  return {static_cast<int>(line) + 1, static_cast<int>(column) + 1};
}

}  // namespace

std::string_view KindName(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::scalar:
      return "a plain value";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "?";
}

Node ReadYaml(std::string_view text, const std::string& file, std::vector<Problem>& problems,
              const YamlLimits& limits) {
  auto add = [&](Mark mark, std::string_view code, std::string message, std::string hint) {
    problems.push_back(
        {file, mark.line, mark.column, code, Severity::error, std::move(message), std::move(hint)});
  };
  if (text.size() > limits.max_bytes) {
    add({}, kCfgTooLarge, "the file is larger than " + std::to_string(limits.max_bytes) + " bytes",
        "");
    return {};
  }
  if (auto bad = FirstBadByte(text); bad != std::string_view::npos) {
    add(MarkOf(text, bad), kCfgSyntax, "the file is not UTF-8 text",
        "save it as UTF-8 without NUL bytes");
    return {};
  }
  Builder builder(limits, problems, file);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      struct Second : Builder {
        using Builder::Builder;
        void OnDocumentStart(const YAML::Mark& mark) override {
          throw Stop{At(mark), kCfgSyntax, "a second document begins here",
                     "keep one document per file"};
        }
      } second(limits, problems, file);
      parser.HandleNextDocument(second);
    }
  } catch (const Stop& stop) {
    add(stop.mark, stop.code, stop.message, stop.hint);
  } catch (const YAML::Exception& e) {
    add(At(e.mark), kCfgSyntax, "this is not YAML: " + e.msg,
        "check indentation (spaces, no tabs), colons, brackets and quotes");
  }
  return builder.Take();
}

}  // namespace sallyport::config
