"""`sallyport mcp config`: what it prints is read with the parser of each format, of which JSON is also JSONC."""

import json
import os
import pathlib
import subprocess
import tomllib

import pytest

from kit.parts import Gateway, http_connection
from kit.paths import NODE, NODE_DIR, ROOT, node_env, sallyport

SERVER = "https://gate.example.com"
URL = f"{SERVER}/mcp/payments"
CLIENTS = ["claude-code", "claude-desktop", "cline", "codex", "continue", "cursor", "gemini-cli", "goose", "inspector", "jetbrains",
           "opencode", "vscode", "windsurf", "zed"]
NO_URL = {"claude-desktop", "jetbrains"}
# Where each client keeps its servers, and under which key it wants the URL, as its own documentation says (docs/mcp-clients.md).
SHAPE = {"claude-code": ("mcpServers", "url"), "claude-desktop": ("mcpServers", None), "cline": ("mcpServers", "url"),
         "codex": ("mcp_servers", "url"), "continue": ("mcpServers", "url"), "cursor": ("mcpServers", "url"),
         "gemini-cli": ("mcpServers", "httpUrl"), "goose": ("extensions", "uri"), "inspector": ("mcpServers", "url"),
         "jetbrains": ("mcpServers", None), "opencode": ("mcp", "url"), "vscode": ("servers", "url"),
         "windsurf": ("mcpServers", "serverUrl"), "zed": ("context_servers", "url")}
TYPES = {"claude-code": ("http", "stdio"), "cline": ("streamableHttp", None), "continue": ("streamable-http", "stdio"),
         "goose": ("streamable_http", "stdio"), "inspector": ("streamable-http", None), "opencode": ("remote", "local"),
         "vscode": ("http", "stdio")}


def ask(*argv, env=None) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SALLYPORT_")} | {"XDG_STATE_HOME": "/nonexistent"}
    return subprocess.run([str(sallyport()), "mcp", "config", *map(str, argv)], capture_output=True, text=True, timeout=20,
                          env=clean | (env or {}))


def read(text: str, form: str):
    if form == "toml":
        return tomllib.loads(text)
    if form == "yaml":
        done = subprocess.run([NODE, "--input-type=module", "-e",
                               "import YAML from 'yaml'; import fs from 'fs';"
                               "console.log(JSON.stringify(YAML.parse(fs.readFileSync(0, 'utf8'), {strict: true})))"],
                              input=text, capture_output=True, text=True, cwd=NODE_DIR, env=node_env(), timeout=20)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return json.loads(text)  # plain JSON is JSONC as well


def server_of(client: str, value, name: str = "payments"):
    servers = value[SHAPE[client][0]]
    return next(s for s in servers if s["name"] == name) if isinstance(servers, list) else servers[name]


def command_of(server) -> list:
    command = server.get("command", server.get("cmd"))
    return command if isinstance(command, list) else [command, *server["args"]]


@pytest.mark.parametrize("form", ["auto", "url", "stdio"])
@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_in_its_own_format(client, form):
    argv = ["--client", client, "--connection", "payments", "--server", SERVER, "--form", form]
    if form == "url" and client in NO_URL:
        assert ask(*argv).returncode == 2
        return
    told = json.loads(ask(*argv, "--json").stdout)
    done = ask(*argv)
    assert done.returncode == 0, done.stderr
    assert done.stdout == told["text"], "standard output is what is pasted and nothing else"
    assert told["documentation"] in done.stderr and told["file"] in done.stderr
    server = server_of(client, read(done.stdout, told["format"]))
    url_key = SHAPE[client][1]
    if told["form"] == "url":
        assert server[url_key] == URL and not {"command", "cmd", "args", "headers", "env"} & set(server), server
    else:
        command = command_of(server)
        assert command[1:] == ["connect", "payments", "--server", SERVER] and pathlib.Path(command[0]).is_absolute(), server
        assert url_key not in server
    if client in TYPES:
        assert server.get("type") == TYPES[client][0 if told["form"] == "url" else 1], server
    assert told["form"] == (form if form != "auto" else "stdio" if client in NO_URL | {"cline", "continue"} else "url")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_name_with_a_dot_and_a_path_with_a_blank(client, tmp):
    """Both are legal and hurt formats that are put together carelessly."""
    ca = tmp / "it's a \"ca\" ü.pem"
    argv = ["--client", client, "--connection", "pay.ments-2", "--server", SERVER, "--form", "stdio", "--ca", ca]
    told = json.loads(ask(*argv, "--json").stdout)
    assert command_of(server_of(client, read(told["text"], told["format"]), "pay.ments-2"))[-2:] == ["--ca", str(ca)]
    if "shell" in told and client != "vscode":
        words = subprocess.run(["sh", "-c", f"show() {{ printf '%s\\n' \"$@\"; }}; show {told['shell'].split(' ', 1)[1]}"],
                               capture_output=True, text=True).stdout.splitlines()
        assert words[-1] == str(ca)


def test_nothing_secret_is_printed(tmp):
    (tmp / "sallyport").mkdir()
    kept = {"v": 1, "server": "https://kept.example.com", "ca": "", "session": "u_1", "expires_at": "", "token": "sps_" + "S" * 49}
    (tmp / "sallyport/session.json").write_text(json.dumps(kept))
    env = {"XDG_STATE_HOME": str(tmp), "SALLYPORT_TOKEN": "sps_" + "T" * 49}
    for client in CLIENTS:
        for more in ([], ["--json"], ["--form", "stdio"]):
            done = ask("--client", client, "--connection", "payments", *more, env=env)
            assert done.returncode == 0 and "kept.example.com" in done.stdout, "where one signed in"
            assert "sps_" not in done.stdout + done.stderr
            done = ask("--client", client, "--connection", "payments", *more, env=env | {"SALLYPORT_SERVER": SERVER + "/"})
            assert SERVER in done.stdout and "sps_" not in done.stdout + done.stderr


@pytest.mark.parametrize("client, near", [("claud-code", "claude-code"), ("vs-code", "vscode"), ("gemini", "gemini-cli"),
                                          ("Cursor", "cursor"), ("windsurfer", "windsurf")])
def test_an_unknown_client_and_the_nearest(client, near):
    done = ask("--client", client, "--connection", "payments", "--server", SERVER)
    assert done.returncode == 2 and f'did you mean "{near}"?' in done.stderr and done.stdout == ""


def test_what_cannot_be(tmp):
    good = ["--client", "cursor", "--connection", "payments"]
    assert "which gate?" in ask(*good).stderr
    for server in ("gate.example.com", "https://user:password@gate.example.com", "ftp://gate.example.com", "https://gate example.com",
                   "http://gate.example.com"):
        done = ask(*good, "--server", server)
        assert done.returncode == 2 and done.stdout == "" and "password" not in done.stderr, server
    for name in ("pay ments", "a/b", "../x", "-x", "", 'x"y', "x" * 64):
        assert ask("--client", "cursor", f"--connection={name}", "--server", SERVER).returncode == 2, name
    assert ask("--client", "qqqqqqqqqqqqqqqq", "--connection", "payments", "--server", SERVER).stderr.count("cursor") == 1


def test_with_the_configuration_of_the_gate(tmp):
    gateway = Gateway(tmp / "gateway", None, [http_connection("payments", "http://127.0.0.1:1/mcp")],
                      [{"id": "x", "effect": "allow", "who": ["any"], "on": {"connection": "payments", "tools": ["*"]}}], start=False)
    done = ask("--client", "cursor", "--connection", "payments", "--config", gateway.config_path)
    if done.returncode == 78:
        pytest.fail(done.stderr + done.stdout)
    assert json.loads(done.stdout)["mcpServers"]["payments"]["url"] == gateway.url("payments")
    done = ask("--client", "cursor", "--connection", "paymens", "--config", gateway.config_path)
    assert done.returncode == 2 and 'did you mean "payments"?' in done.stderr
    (tmp / "bad.yaml").write_text("version: 7\n")
    assert ask("--client", "cursor", "--connection", "payments", "--config", tmp / "bad.yaml").returncode == 78


def test_the_page_names_every_client():
    page = (ROOT / "docs/mcp-clients.md").read_text()
    for client in CLIENTS:
        told = json.loads(ask("--client", client, "--connection", "payments", "--server", SERVER, "--json").stdout)
        assert f"`{client}`" in page and told["documentation"] in page, client
