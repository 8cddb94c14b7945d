#include "config/load_change.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>

#include "config/yaml.h"

namespace sallyport::config {

/// Who wrote a change does not approve it (PCI DSS 6.5.4).
Change ReadChange(Context& context, const Node& node) {
  Fields fields(context, node, "change");
  Change change{.author = fields.Text("author").value_or(""),
                .approver = fields.Text("approver").value_or(""),
                .ticket = fields.Text("ticket").value_or("")};
  fields.Done();
  const bool same = std::ranges::equal(change.author, change.approver, [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  });
  if (!change.author.empty() && same) {
    context.Error(
        fields.ValueMark("approver"), kCfgConflict, "change.approver is who wrote the change",
        "name another person, or leave approver out: the log then says that none is stated");
  }
  return change;
}

Result<Change> ChangeOf(const Root& root) {
  std::ifstream in(root.file, std::ios::binary);
  if (!in) return Change{};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  Context context;
  context.file = root.file.string();
  std::error_code error;
  context.dir = std::filesystem::absolute(root.file, error).parent_path();
  context.look_at_secrets = false;
  const Node tree = ReadYaml(text, context.file, context.problems);
  Change out;
  for (const Node::Member& member : tree.members) {
    if (member.key == "change") out = ReadChange(context, member.value);
  }
  const auto wrong = [](const Problem& p) { return p.severity == Severity::error; };
  if (std::ranges::any_of(context.problems, wrong)) {
    return Fail(Errc::config_invalid,
                "see `sallyport validate " + root.file.string() + "`: change has changed");
  }
  return out;
}

}  // namespace sallyport::config
