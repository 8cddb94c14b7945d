#include "app/arguments.h"
#include "app/verbs.h"

namespace sallyport::app {

void AddClientVerbs(CLI::App& root, Chosen& chosen) {
  CLI::App* mcp = Command(root, "mcp", "MCP clients",
                          "sallyport mcp config --client claude-code --connection payments");
  mcp->require_subcommand(1);
  static McpConfigOptions config;
  CLI::App* c = Command(*mcp, "config", "What to paste into an MCP client, and where",
                        "sallyport mcp config --client cursor --connection payments --server "
                        "https://gate.example.com");
  c->add_option("--client", config.client,
                "claude-code, claude-desktop, cline, codex, continue, cursor, gemini-cli, goose, "
                "inspector, jetbrains, opencode, vscode, windsurf or zed")
      ->required();
  c->add_option("--connection", config.connection, "connection")->required();
  c->add_option("--server", config.server,
                "URL of the gate (default: SALLYPORT_SERVER, else where you signed in)");
  c->add_option("--config", config.config,
                "configuration file of the gate: its public_url, and which connections there are");
  c->add_option("--ca", config.ca, "certificate authority of the gate (PEM)");
  c->add_option("--form", config.form,
                "url: the client signs in by itself; stdio: it starts `sallyport connect`")
      ->check(CLI::IsMember({"auto", "url", "stdio"}))
      ->capture_default_str();
  c->add_flag("--json", config.json, "the text and what is known about it as JSON");
  c->callback([&chosen] { chosen = [] { return RunMcpConfig(config); }; });

  static ConnectOptions connect;
  c = Command(
      root, "connect",
      "A connection as an MCP server on standard input and output, for clients that start one",
      "sallyport connect payments --server https://gate.example.com");
  c->add_option("connection", connect.connection, "connection")->required();
  c->add_option("--server", connect.gate.server,
                "URL of the gate (default: SALLYPORT_SERVER, else where you signed in)");
  c->add_option("--token-file", connect.gate.token_file,
                "use the token in this file instead of the session of `sallyport login`");
  c->add_option("--ca", connect.gate.ca, "certificate authority of the gate (PEM)");
  c->callback([&chosen] { chosen = [] { return RunConnect(connect); }; });
}

}  // namespace sallyport::app
