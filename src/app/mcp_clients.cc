#include "app/mcp_clients.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

std::string Quoted(const std::string& text) { return ordered_json(text).dump(); }

ordered_json Arguments(const ClientEntry& entry) {
  ordered_json arguments = ordered_json::array();
  for (size_t i = 1; i < entry.command.size(); ++i) arguments.push_back(entry.command[i]);
  return arguments;
}

/// {"command": …, "args": […]}, with `more` before it.
ordered_json Started(const ClientEntry& entry, ordered_json more = ordered_json::object()) {
  more["command"] = entry.command.front();
  more["args"] = Arguments(entry);
  return more;
}

/// {"<list>": {"<name>": …}}
std::string Listed(const char* list, const ClientEntry& entry, ordered_json server) {
  return ordered_json{{list, {{entry.name, std::move(server)}}}}.dump(2) + "\n";
}

/// The most common shape: mcpServers, and in it the URL under a key of the client's own choice.
template <const char* kUrlKey, const char* kUrlType>
std::string McpServers(const ClientEntry& entry, ClientForm form) {
  if (form == ClientForm::stdio) return Listed("mcpServers", entry, Started(entry));
  ordered_json server = ordered_json::object();
  if (*kUrlType != '\0') server["type"] = kUrlType;
  server[kUrlKey] = entry.url;
  return Listed("mcpServers", entry, std::move(server));
}

constexpr char kUrl[] = "url", kServerUrl[] = "serverUrl", kHttpUrl[] = "httpUrl";
constexpr char kNoType[] = "", kStreamableHttp[] = "streamable-http",
               kCamelHttp[] = "streamableHttp";

std::string ClaudeCode(const ClientEntry& entry, ClientForm form) {
  return Listed("mcpServers", entry,
                form == ClientForm::stdio ? Started(entry, {{"type", "stdio"}})
                                          : ordered_json{{"type", "http"}, {"url", entry.url}});
}

std::string VsCode(const ClientEntry& entry, ClientForm form) {
  return Listed("servers", entry,
                form == ClientForm::stdio ? Started(entry, {{"type", "stdio"}})
                                          : ordered_json{{"type", "http"}, {"url", entry.url}});
}

std::string Zed(const ClientEntry& entry, ClientForm form) {
  return Listed("context_servers", entry,
                form == ClientForm::stdio ? Started(entry) : ordered_json{{"url", entry.url}});
}

std::string OpenCode(const ClientEntry& entry, ClientForm form) {
  ordered_json server;
  if (form == ClientForm::stdio) {
    server = {{"type", "local"}, {"command", entry.command}, {"enabled", true}};
  } else {
    server = {{"type", "remote"}, {"url", entry.url}, {"enabled", true}};
  }
  return ordered_json{{"$schema", "https://opencode.ai/config.json"},
                      {"mcp", {{entry.name, std::move(server)}}}}
             .dump(2) +
         "\n";
}

/// TOML: a basic string is written as a JSON string is, a list of them as well.
std::string Codex(const ClientEntry& entry, ClientForm form) {
  const bool bare = !entry.name.contains('.');  // which would be a table in a table
  std::string out = "[mcp_servers." + (bare ? entry.name : Quoted(entry.name)) + "]\n";
  if (form == ClientForm::url) return out + "url = " + Quoted(entry.url) + "\n";
  return out + "command = " + Quoted(entry.command.front()) +
         "\nargs = " + Arguments(entry).dump() + "\n";
}

/// YAML: what is JSON is YAML 1.2 as well, so values and lists are written as JSON.
std::string Continue(const ClientEntry& entry, ClientForm form) {
  std::string out = "name: " + Quoted(entry.name) +
                    "\nversion: 0.0.1\nschema: v1\nmcpServers:\n  - name: " + Quoted(entry.name) +
                    "\n";
  if (form == ClientForm::url)
    return out + "    type: streamable-http\n    url: " + Quoted(entry.url) + "\n";
  return out + "    type: stdio\n    command: " + Quoted(entry.command.front()) +
         "\n    args: " + Arguments(entry).dump() + "\n";
}

std::string Goose(const ClientEntry& entry, ClientForm form) {
  std::string out = "extensions:\n  " + Quoted(entry.name) + ":\n    name: " + Quoted(entry.name) +
                    "\n    enabled: true\n    timeout: 300\n";
  if (form == ClientForm::url)
    return out + "    type: streamable_http\n    uri: " + Quoted(entry.url) + "\n";
  return out + "    type: stdio\n    cmd: " + Quoted(entry.command.front()) +
         "\n    args: " + Arguments(entry).dump() + "\n    envs: {}\n";
}

std::string Line(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + ShellWord(word);
  return out;
}

std::string ClaudeCodeShell(const ClientEntry& entry, ClientForm form) {
  if (form == ClientForm::url)
    return "claude mcp add --transport http " + entry.name + " " + ShellWord(entry.url);
  return "claude mcp add " + entry.name + " -- " + Line(entry.command);
}

std::string CodexShell(const ClientEntry& entry, ClientForm form) {
  if (form == ClientForm::url)
    return "codex mcp add " + entry.name + " --url " + ShellWord(entry.url);
  return "codex mcp add " + entry.name + " -- " + Line(entry.command);
}

std::string GeminiShell(const ClientEntry& entry, ClientForm form) {
  if (form == ClientForm::url)
    return "gemini mcp add --transport http " + entry.name + " " + ShellWord(entry.url);
  return "gemini mcp add " + entry.name + " " + Line(entry.command);
}

std::string VsCodeShell(const ClientEntry& entry, ClientForm form) {
  ordered_json server{{"name", entry.name}};
  if (form == ClientForm::url) {
    server["type"] = "http";
    server["url"] = entry.url;
  } else {
    server = Started(entry, std::move(server));
  }
  return "code --add-mcp " + ShellWord(server.dump());
}

constexpr auto kByUrl = ClientForm::url;
constexpr auto kByStdio = ClientForm::stdio;

// The text of a client, where it goes, and the page of the client that says so.
constexpr McpClient kClients[] = {
    {"claude-code", "Claude Code", ".mcp.json of a project, or mcpServers in ~/.claude.json",
     "json", kByUrl, true, "https://code.claude.com/docs/en/mcp",
     "type /mcp in Claude Code and choose Authenticate", ClaudeCode, ClaudeCodeShell},
    {"claude-desktop", "Claude Desktop",
     "claude_desktop_config.json (Settings > Developer > Edit Config)", "json", kByStdio, false,
     "https://modelcontextprotocol.io/docs/develop/connect-local-servers", "",
     McpServers<kUrl, kNoType>, nullptr},
    {"cline", "Cline", "cline_mcp_settings.json (MCP Servers > Configure MCP Servers)", "json",
     kByStdio, true, "https://docs.cline.bot/mcp/connecting-to-a-remote-server",
     "restart the server in Cline's list and sign in", McpServers<kUrl, kCamelHttp>, nullptr},
    {"codex", "Codex", "~/.codex/config.toml", "toml", kByUrl, true,
     "https://developers.openai.com/codex/mcp", "run: codex mcp login, with the server's name",
     Codex, CodexShell},
    {"continue", "Continue", "a new file in .continue/mcpServers/ of a project, or in ~/.continue/",
     "yaml", kByStdio, true, "https://docs.continue.dev/customize/deep-dives/mcp",
     "reload Continue and sign in", Continue, nullptr},
    {"cursor", "Cursor", "~/.cursor/mcp.json, or .cursor/mcp.json of a project", "json", kByUrl,
     true, "https://cursor.com/docs/mcp", "press Connect beside the server in Cursor's settings",
     McpServers<kUrl, kNoType>, nullptr},
    {"gemini-cli", "Gemini CLI", "~/.gemini/settings.json", "json", kByUrl, true,
     "https://google-gemini.github.io/gemini-cli/docs/tools/mcp-server.html",
     "type /mcp auth and the server's name in Gemini CLI", McpServers<kHttpUrl, kNoType>,
     GeminiShell},
    {"goose", "goose", "~/.config/goose/config.yaml", "yaml", kByUrl, true,
     "https://block.github.io/goose/docs/guides/config-files",
     "goose opens the sign-in page when a session starts", Goose, nullptr},
    {"inspector", "MCP Inspector", "a file that --config names", "json", kByUrl, true,
     "https://modelcontextprotocol.io/docs/tools/inspector", "press Connect in the Inspector",
     McpServers<kUrl, kStreamableHttp>, nullptr},
    {"jetbrains", "JetBrains AI Assistant",
     "Settings > Tools > AI Assistant > Model Context Protocol (MCP) > Add > As JSON", "json",
     kByStdio, false, "https://www.jetbrains.com/help/ai-assistant/mcp.html", "",
     McpServers<kUrl, kNoType>, nullptr},
    {"opencode", "opencode", "opencode.json of a project, or ~/.config/opencode/opencode.json",
     "jsonc", kByUrl, true, "https://opencode.ai/docs/mcp-servers/",
     "run: opencode mcp auth, with the server's name", OpenCode, nullptr},
    {"vscode", "Visual Studio Code",
     ".vscode/mcp.json, or the command MCP: Open User Configuration", "jsonc", kByUrl, true,
     "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
     "press Start above the server and sign in", VsCode, VsCodeShell},
    {"windsurf", "Windsurf", "~/.codeium/windsurf/mcp_config.json", "json", kByUrl, true,
     "https://docs.windsurf.com/windsurf/cascade/mcp",
     "press the refresh button in Cascade's MCP panel and sign in", McpServers<kServerUrl, kNoType>,
     nullptr},
    {"zed", "Zed", "settings.json (the action zed: open settings file)", "jsonc", kByUrl, true,
     "https://zed.dev/docs/ai/mcp", "press Authenticate beside the server in the agent's settings",
     Zed, nullptr},
};

}  // namespace

std::span<const McpClient> McpClients() { return kClients; }

const McpClient* FindMcpClient(std::string_view id) {
  const auto at = std::ranges::find(kClients, id, &McpClient::id);
  return at == std::end(kClients) ? nullptr : &*at;
}

bool IsConnectionName(std::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  return name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
             std::string_view::npos &&
         name.front() != '.' && name.front() != '-';
}

std::string ShellWord(std::string_view text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-_./:=@%+,").contains(c);
  });
  if (plain) return std::string(text);
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += R"('\'')";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace sallyport::app
