#include "export/format.h"

#include "ledger/object_writer.h"
#include "ledger/render.h"

namespace sallyport::exporting {
namespace {

using ledger::ObjectWriter;

std::string RenderAt(const Style& style, const Event& event, const Facts& facts, Extent extent) {
  switch (style.format) {
    case Format::ocsf:
      return RenderOcsf(style, event, facts, extent);
    case Format::ecs:
      return RenderEcs(style, event, facts, extent);
    case Format::cef:
      return RenderCef(style, event, facts, extent);
    case Format::span:
      return RenderSpan(event, facts);
    case Format::json:
      break;
  }
  return RenderJson(event, facts, extent);
}

}  // namespace

std::string_view FormatName(Format format) {
  switch (format) {
    case Format::ocsf:
      return "ocsf";
    case Format::cef:
      return "cef";
    case Format::ecs:
      return "ecs";
    case Format::span:
      return "span";
    case Format::json:
      break;
  }
  return "json";
}

std::string RenderJson(const Event& event, const Facts& facts, Extent extent) {
  std::string out;
  ObjectWriter object(out);
  object.Text("origin", event.origin);
  object.Text("leaf_hash", event.leaf);
  if (extent == Extent::full && event.entry != nullptr) {
    // The members of the usual form follow these two.
    const std::string whole =
        ledger::RenderEntry(event.index, *event.entry, event.session, event.intent);
    return out + "," + whole.substr(1);
  }
  object.Number("index", event.index);
  object.Text("event", facts.event);
  if (facts.at != 0) object.Text("time", FormatUtc(facts.at));
  object.Flag("cut", true);
  if (extent == Extent::brief) {
    object.Text("name", CutText(facts.who.label(), 500));
    object.Text("session", facts.session_id);
    object.Text("address", facts.address);
    object.Text("connection", facts.connection);
    object.Text("method", CutText(facts.method, 200));
    object.Text("resource", CutText(facts.resource, 1000));
    object.Text("decision", facts.decision_id);
    object.Text("verdict", facts.verdict);
    object.Text("reason", facts.reason);
    object.Text("detail", CutText(facts.detail, 1000));
  }
  object.Close();
  return out;
}

std::string Render(const Style& style, const Event& event) {
  const Facts facts(event);
  std::string line;
  for (const Extent extent : {Extent::full, Extent::brief, Extent::bare}) {
    line = RenderAt(style, event, facts, extent);
    if (style.format != Format::cef) KeepOneLine(line);
    if (style.max_bytes == 0 || line.size() <= style.max_bytes) break;
  }
  return line;
}

}  // namespace sallyport::exporting
