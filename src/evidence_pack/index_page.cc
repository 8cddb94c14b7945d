#include <algorithm>

#include "evidence_pack/papers.h"
#include "ledger/render.h"

namespace sallyport::evidence_pack {
namespace {

std::string Html(std::string_view text) {
  std::string out;
  for (const char c : ledger::Printable(text)) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>Evidence pack</title>
<style>
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1a1f26;background:#fff}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #dde2e8;padding:.35rem .5rem;text-align:left;vertical-align:top}
th{position:sticky;top:0;background:#fff}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.s{white-space:nowrap;font-weight:600}.evidenced{color:#0a6b3d}.exceptions{color:#9a5b00}.part{color:#1c4f91}.none{color:#8a1f1f}.other{color:#59636e}
ul{margin:.2rem 0;padding-left:1.1rem}input{font:inherit;padding:.35rem .6rem;width:24rem;max-width:100%}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.6rem 0}dt{color:#59636e}dd{margin:0}
@media print{input{display:none}th{position:static}}
</style></head><body>
)";

constexpr std::string_view kTail = R"(
<script>
"use strict";
const box=document.getElementById("q"),rows=[...document.querySelectorAll("#t tbody tr")],count=document.getElementById("n");
const look=()=>{const words=box.value.toLowerCase().split(/\s+/).filter(Boolean);let n=0;
for(const row of rows){const text=row.textContent.toLowerCase();row.hidden=!words.every(w=>text.includes(w));if(!row.hidden)n++}
count.textContent=n+" of "+rows.length};
box.addEventListener("input",look);look();
</script></body></html>
)";

const char* ClassOfStatus(Status status) {
  switch (status) {
    case Status::evidenced:
      return "evidenced";
    case Status::exceptions:
      return "exceptions";
    case Status::part:
      return "part";
    case Status::no_entry:
      return "none";
    case Status::customer:
    case Status::not_applicable:
      return "other";
  }
  return "other";
}

std::string Row(const Pack& pack, const Requirement& requirement) {
  const Status status = pack.StatusOf(requirement);
  const Answer& answer = pack.AnswerOf(requirement.id);
  std::string out = "<tr><td><b>" + Html(requirement.id) + "</b></td><td>" +
                    Html(requirement.title) + "</td><td class=\"" + ClassOfStatus(status) + "\">" +
                    Html(StatusName(status));
  const auto list = [&](const std::vector<std::string>& items) {
    if (items.empty()) return;
    out += "<ul>";
    for (const std::string& item : items) out += "<li>" + Html(item) + "</li>";
    out += "</ul>";
  };
  list(answer.exceptions);
  list(answer.missing);
  out += "</td><td>" + Html(SplitName(requirement.split)) + "</td><td>" + Html(requirement.person) +
         "</td><td>";
  for (const Artefact& a : pack.artefacts()) {
    if (std::ranges::find(a.requirements, requirement.id) == a.requirements.end()) continue;
    out += "<a href=\"" + Html(a.file) + "\">" + Html(a.title) + "</a> (" +
           std::to_string(a.population) + ")<br>";
  }
  return out + "<a href=\"" + FolderOf(requirement.id) + "about.json\">figures</a></td></tr>\n";
}

}  // namespace

std::string IndexPage(const Pack& pack, const std::string& fingerprint) {
  std::string out(kHead);
  const auto fact = [&](const char* name, std::string_view value) {
    out += "<dt>" + std::string(name) + "</dt><dd>" + Html(value) + "</dd>\n";
  };
  out += "<h1>Evidence pack</h1><p>" + Html(pack.Summary()) +
         ". Whether requirements are met is for the assessor to say.</p><dl>\n";
  fact("System", pack.head().origin);
  fact("Period (UTC)", pack.Period());
  fact("Made with", "sallyport " + pack.head().version);
  fact("Configuration", pack.setup().given ? "SHA-256 " + pack.setup().digest
                                           : std::string("not given: what rests on it is missing"));
  fact("Signed by", fingerprint);
  out +=
      "</dl>\n<h2>Verify</h2><p>With <code>sha256sum</code> and <code>openssl</code> alone: "
      "<a href=\"VERIFY.md\">VERIFY.md</a>. With our tool: <code>sallyport evidence verify "
      "PACK.zip</code>. The register for your own: <a href=\"controls-to-evidence.csv\">"
      "controls-to-evidence.csv</a>, <a href=\"workbook.xlsx\">workbook.xlsx</a>, <a "
      "href=\"summary.pdf\">summary.pdf</a>, <a href=\"oscal/assessment-results.json\">OSCAL</a>; "
      "<a href=\"samples/sample.json\">samples</a>; <a href=\"audit-info.json\">how it was "
      "made</a>.</p>\n<h2>Requirements</h2>\n<p><input id=\"q\" type=\"search\" "
      "placeholder=\"Search: 10.2, exceptions, key …\" aria-label=\"Search\"> <span "
      "id=\"n\"></span></p>\n<table id=\"t\"><thead><tr><th>PCI DSS</th><th>Subject</th>"
      "<th>State of the evidence</th><th>Who</th><th>A person</th><th>Evidence "
      "(rows)</th></tr></thead><tbody>\n";
  for (const Requirement& requirement : Requirements()) out += Row(pack, requirement);
  out +=
      "</tbody></table>\n<p>Ids are those of PCI DSS v4.0.1, titles are our own. A gateway shows "
      "what passed through it; what passed by it is shown by 7.2.6.</p>";
  out += kTail;
  return out;
}

}  // namespace sallyport::evidence_pack
