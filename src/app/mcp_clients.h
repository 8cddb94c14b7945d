#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::app {

/// How an MCP client reaches a connection: by the gate's URL (it signs in by itself, with OAuth),
/// or by starting `sallyport connect`, which speaks with the session of `sallyport login`.
enum class ClientForm : uint8_t { url, stdio };

/// One connection, as it is written into a client's configuration. Nothing of it is a secret.
struct ClientEntry {
  std::string name;                  // of the connection; also the name of the server in the client
  std::string url;                   // <server>/mcp/<connection>
  std::vector<std::string> command;  // starts the shim
};

/// A client whose configuration format is known. Where it is documented stands in `documentation`;
/// docs/mcp-clients.md says when that page was read.
struct McpClient {
  std::string_view id;      // of --client
  std::string_view title;   // for people
  std::string_view file;    // where the text goes
  std::string_view format;  // json, jsonc (the text is plain JSON as well), toml, yaml
  ClientForm preferred;
  bool speaks_url;  // streamable HTTP with its own OAuth, says its documentation
  std::string_view documentation;
  std::string_view then;  // what to do afterwards, in the URL form
  std::string (*text)(const ClientEntry& entry, ClientForm form);
  /// One line of a shell that does the same; null where there is none.
  std::string (*shell)(const ClientEntry& entry, ClientForm form);
};

std::span<const McpClient> McpClients();
/// Null if there is none of that name.
const McpClient* FindMcpClient(std::string_view id);

/// As the configuration demands of names: so it can stand in a URL and as a key of every format.
bool IsConnectionName(std::string_view name);

/// A word of a POSIX shell's command line, quoted where it has to be.
std::string ShellWord(std::string_view text);

}  // namespace sallyport::app
