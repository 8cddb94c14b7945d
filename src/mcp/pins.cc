#include "mcp/pins.h"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <unistd.h>
#include <utility>

#include "base/descriptor.h"
#include "json/document.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxWaiting = 8;  // instructions of a server that shows ever new ones

/// Writes beside the file and renames, so that a reader or a crash sees the old text or the new
/// one.
Result<> ReplaceFile(const std::filesystem::path& file, std::string_view text) {
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  const std::string beside = file.string() + ".new";
  {
    const Descriptor out(
        ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out || !WriteAll(out, text) || ::fsync(out.get()) != 0)
      return Fail(Errc::io_failed, "cannot write " + beside);
  }
  if (::rename(beside.c_str(), file.c_str()) != 0)
    return Fail(Errc::io_failed, "cannot write " + file.string());
  return {};
}

}  // namespace

std::string_view PinChangeName(PinChange::Kind kind) {
  switch (kind) {
    case PinChange::Kind::pinned:
      return "pinned";
    case PinChange::Kind::added:
      return "added";
    case PinChange::Kind::changed:
      return "changed";
    case PinChange::Kind::renamed:
      return "renamed";
    case PinChange::Kind::poisoned:
      return "invisible characters";
  }
  return "changed";
}

Pins::Pins(const std::filesystem::path& state_dir, std::string_view connection)
    : file_(state_dir / ("pins-" + std::string(connection) + ".json")) {}

Result<> Pins::Load() {
  std::error_code e;
  const auto written = std::filesystem::last_write_time(file_, e);
  if (e) {
    known_ = tools_known_ = false;
    for (auto* pins : {&accepted_, &waiting_, &instructions_, &instructions_waiting_})
      pins->clear();
    return {};
  }
  if (known_ && written == read_at_) return {};
  std::ifstream in(file_, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto doc = json::Document::Parse(text);
  const auto object = [&](std::string_view part) {
    return doc->root()[part].is(json::Kind::object);
  };
  if (!in || !doc || doc->root()["v"].integer() != 1 ||
      (!object("tools") && !object("instructions"))) {
    return Fail(Errc::config_invalid, "the pins in " + file_.string() + " cannot be read");
  }
  const auto read = [&](std::string_view part, std::map<std::string, Pin>& pins) {
    pins.clear();
    for (json::Value v = doc->root()[part].first(); v; v = v.next()) {
      pins[std::string(v.key())] = {std::string(v["digest"].string().value_or("")),
                                    std::string(v["body"].string().value_or("")),
                                    std::string(v["why"].string().value_or(""))};
    }
  };
  read("tools", accepted_);
  read("waiting", waiting_);
  read("instructions", instructions_);
  read("instructions_waiting", instructions_waiting_);
  tools_known_ = object("tools");
  known_ = true;
  read_at_ = written;
  return {};
}

Result<> Pins::Save() {
  std::string text = R"({"v":1)";
  const auto write = [&](std::string_view part, const std::map<std::string, Pin>& pins) {
    text.append(",\n\"").append(part).append("\":{");
    bool first = true;
    for (const auto& [name, pin] : pins) {
      if (!first) text += ',';
      first = false;
      text += '\n';
      json::AppendString(text, name);
      text += R"(:{"digest":")" + pin.digest + R"(","body":")" + pin.body + '"';
      if (!pin.why.empty()) text += R"(,"why":)" + json::Quote(pin.why);
      text += '}';
    }
    text += '}';
  };
  if (tools_known_) {
    write("tools", accepted_);
    write("waiting", waiting_);
  }
  write("instructions", instructions_);
  write("instructions_waiting", instructions_waiting_);
  SALLYPORT_CHECK(ReplaceFile(file_, text + "}\n"));
  std::error_code e;
  read_at_ = std::filesystem::last_write_time(file_, e);
  known_ = true;
  return {};
}

Result<std::vector<std::string>> Pins::Judge(const std::vector<const ToolDefinition*>& tools,
                                             std::vector<PinChange>& changes) {
  SALLYPORT_CHECK(Load());
  const bool first_sight = !tools_known_;
  std::map<std::string, Pin> waiting;
  std::vector<std::string> held;
  bool dirty = first_sight;
  for (const ToolDefinition* tool : tools) {
    const auto pin = accepted_.find(tool->name);
    if (pin != accepted_.end() && pin->second.digest == tool->digest) continue;
    PinChange change{PinChange::Kind::changed, tool->name, {}};
    if (tool->poisoned) {
      change.kind = PinChange::Kind::poisoned;
    } else if (first_sight) {
      accepted_[tool->name] = {tool->digest, tool->body_digest, {}};
      changes.push_back({PinChange::Kind::pinned, tool->name, {}});
      continue;
    } else if (pin == accepted_.end()) {
      change.kind = PinChange::Kind::added;
      for (const auto& [name, old] : accepted_) {
        const bool gone =
            std::ranges::none_of(tools, [&](const ToolDefinition* t) { return t->name == name; });
        if (gone && old.body == tool->body_digest)
          change.kind = PinChange::Kind::renamed, change.before = name;
      }
    }
    held.push_back(tool->name);
    std::string why(PinChangeName(change.kind));
    if (!change.before.empty()) why += " from " + change.before;
    Pin now{tool->digest, tool->body_digest, why};
    const auto noticed = waiting_.find(tool->name);
    if (noticed == waiting_.end() || noticed->second.digest != now.digest) {
      changes.push_back(std::move(change));
      dirty = true;
    }
    waiting[tool->name] = std::move(now);
  }
  dirty = dirty || waiting != waiting_;
  waiting_ = std::move(waiting);
  tools_known_ = true;
  if (dirty) SALLYPORT_CHECK(Save());
  return held;
}

Result<bool> Pins::JudgeInstructions(std::string_view text, std::vector<PinChange>& changes) {
  SALLYPORT_CHECK(Load());
  const std::string digest = TextDigest(text);
  if (instructions_.contains(digest)) return true;
  const bool poisoned = HasInvisible(text);
  if (instructions_.empty() && !poisoned) {
    instructions_[digest] = {digest, {}, {}};
    changes.push_back({PinChange::Kind::pinned, {}, {}});
    SALLYPORT_CHECK(Save());
    return true;
  }
  if (instructions_waiting_.contains(digest)) return false;
  const auto kind = poisoned ? PinChange::Kind::poisoned : PinChange::Kind::changed;
  while (instructions_waiting_.size() >= kMaxWaiting)
    instructions_waiting_.erase(instructions_waiting_.begin());
  instructions_waiting_[digest] = {digest, {}, std::string(PinChangeName(kind))};
  changes.push_back({kind, {}, {}});
  SALLYPORT_CHECK(Save());
  return false;
}

Result<std::vector<std::string>> Pins::Accept(const std::filesystem::path& state_dir,
                                              std::string_view connection,
                                              const std::vector<std::string>& tools) {
  Pins pins(state_dir, connection);
  SALLYPORT_CHECK(pins.Load());
  std::vector<std::string> done;
  for (auto it = pins.waiting_.begin(); it != pins.waiting_.end();) {
    if (!tools.empty() && std::ranges::find(tools, it->first) == tools.end()) {
      ++it;
      continue;
    }
    it->second.why.clear();
    pins.accepted_[it->first] = it->second;
    done.push_back(it->first);
    it = pins.waiting_.erase(it);
  }
  if (tools.empty()) {
    for (auto& [digest, pin] : std::exchange(pins.instructions_waiting_, {})) {
      pins.instructions_[digest] = {digest, {}, {}};
      done.push_back("instructions " + digest.substr(0, 16));
    }
  }
  if (!done.empty()) SALLYPORT_CHECK(pins.Save());
  return done;
}

}  // namespace sallyport::mcp
