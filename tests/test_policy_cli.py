"""`validate`, `policy test`, `policy explain`: exit codes, messages, formats of the contract."""

import json
import re

import pytest

from kit.parts import run

CONFIG = """version: 1
server:
  public_url: http://127.0.0.1:7300
  listen: { http: "127.0.0.1:7300", ops: "127.0.0.1:7301" }
  data_dir: %(dir)s/data
identity:
  providers:
    - name: corp
      oidc: { issuer: https://login.example.com/realms/corp, audience: https://gate.example.com, claims: { user: email, groups: groups } }
  agents:
    - { name: agent-refunds, match: { provider: corp, client_id: agent-refunds }, owner: group:payments-platform }
connections:
  - name: payments
    labels: { env: prod, scope: cde }
    mcp:
      http: { url: "https://payments-mcp.internal/mcp", auth: { bearer: { env: PAYMENTS_MCP_TOKEN } } }
      sql_arguments: [{ tool: execute_sql, path: $.sql, dialect: postgresql }]
masking:
  detectors:
    - { name: pan, kind: pan, render: last4 }
    - { name: sad, kind: sad, action: block }
approvals:
  - { name: leads-one, approvers: [group:payments-leads], need: 1, reason: required, ttl: 15m }
policies:
  - id: support-read
    effect: allow
    who: [agent:agent-refunds, group:support]
    on: { connection: payments, tools: [get_order, list_orders, "search_*"] }
    rate: { calls: 60, per: 1m }
  - id: refund-small
    effect: allow
    who: [agent:agent-refunds]
    on: { connection: payments, tools: [refund_order], args: { amount: { lte: 100 }, currency: { in: [EUR, USD] } } }
  - id: refund-large
    effect: approve
    approval: leads-one
    who: [agent:agent-refunds]
    on: { connection: payments, tools: [refund_order], args: { amount: { gt: 100 } } }
  - id: no-export
    effect: deny
    who: [any]
    on: { labels: { scope: cde }, tools: ["export_*", "dump_*"] }
    message: Bulk export leaves the cardholder data environment.
  - id: analyst-sql
    effect: allow
    who: [group:analysts]
    on:
      connection: payments
      tools: [execute_sql]
      sql: { statements: [SELECT], relations: [public.orders], columns: { deny: [public.orders.cvv] } }
evidence: { origin: gate.example.com/test, durability: group }
"""

TESTS = """identities:
  bot: { agent: agent-refunds }
  ana: { user: ana@example.com, groups: [analysts] }
  sam: { user: sam@example.com, groups: [support] }
tests:
  - name: small refund goes through
    as: bot
    call: { connection: payments, tool: refund_order, args: { order_id: o_1a2b3c4d, amount: 40, currency: EUR } }
    expect: { decision: allow, rules: [refund-small] }
  - name: large refund waits for a lead
    as: bot
    call: { connection: payments, tool: refund_order, args: { order_id: o_1a2b3c4d, amount: 900, currency: EUR } }
    expect: { decision: approve, approval: leads-one }
  - name: nobody exports cardholder data
    as: bot
    call: { connection: payments, tool: export_all }
    expect: { decision: deny, rules: [no-export] }
  - name: support may search
    as: sam
    call: { connection: payments, tool: search_orders, args: { query: x } }
    expect: { decision: allow }
  - name: a second statement cannot hide
    as: ana
    call: { connection: payments, tool: execute_sql, args: { sql: "select 1; drop table public.orders" } }
    expect: { decision: deny }
  - name: a card number comes back masked
    as: bot
    call: { connection: payments, tool: get_order, args: { id: o_1a2b3c4d } }
    reply: { content: [{ type: text, text: "card 4111 1111 1111 1111" }] }
    expect: { decision: allow, reply_lacks: "4111 1111 1111", masked: { pan: 1 } }
"""

ENV = {"PAYMENTS_MCP_TOKEN": "x", "PATH": "/usr/bin:/bin"}


@pytest.fixture
def files(tmp):
    config = tmp / "sallyport.yaml"
    config.write_text(CONFIG.replace("%(dir)s", str(tmp)))
    tests = tmp / "policy_test.yaml"
    tests.write_text(TESTS)
    return config, tests


def cli(*argv, **how):
    return run(*argv, env=ENV, **how)


# -- validate ------------------------------------------------------------------------------------
def test_good_configuration(files):
    done = cli("validate", files[0])
    assert done.returncode == 0, done.stderr


def test_every_key_of_the_contract_is_understood():
    """A configuration that uses every key, those of later releases too."""
    from kit.paths import ROOT
    done = cli("validate", ROOT / "testdata" / "config" / "contract.yaml")
    assert done.returncode == 0, done.stderr


BAD = {
    "misspelt key": (("public_url:", "publik_url:"), r":3:3:.*publik_url.*public_url"),
    "misspelt deep key": (("lte: 100", "lessthan: 100"), r"lessthan"),
    "wrong type": (("need: 1", "need: many"), r":\d+:\d+:"),
    "bad duration": (("ttl: 15m", "ttl: soon"), r":\d+:\d+:.*ttl|soon"),
    "unknown effect": (("effect: deny", "effect: forbid"), r"forbid"),
    "unknown approval": (("approval: leads-one", "approval: nobody"), r"nobody"),
    "unknown connection": (("connection: payments, tools: [get_order", "connection: paymants, tools: [get_order"), r"paymants"),
    "unknown provider": (("provider: corp", "provider: corpse"), r"corpse"),
    "inline secret": (("{ env: PAYMENTS_MCP_TOKEN }", "s3cr3t-inline"), r":\d+:\d+:"),
    "duplicate rule": (("id: refund-large", "id: refund-small"), r"refund-small"),
    "duplicate key": (("version: 1", "version: 1\nversion: 1"), r"version"),
    "bad regex": (("kind: sad, action: block", "kind: regex, pattern: '('"), r":\d+:\d+:"),
    "bad render": (("render: last4", "render: first8"), r"first8"),
    "wrong version": (("version: 1", "version: 9"), r"version"),
    "plain listener off loopback": (('http: "127.0.0.1:7300"', 'http: "0.0.0.0:7300"'), r"loopback|https|plain"),
    "issuer over http": (("issuer: https://login", "issuer: http://login"), r"issuer|https"),
    "bad sql path": (("path: $.sql", "path: sql["), r"path"),
    "not yaml": (("version: 1", "version: [1"), r":\d+:\d+:"),
    "tab": (("  public_url", "\tpublic_url"), r":\d+:\d+:"),
    "missing key": (("  data_dir: ", "  # data_dir: "), r"data_dir"),
    "missing effect": (("    effect: deny\n", ""), r"effect"),
    "empty who": (("who: [group:analysts]", "who: []"), r"who"),
    "bad who": (("who: [group:analysts]", "who: [analysts]"), r"analysts"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_configuration(files, name):
    (old, new), pattern = BAD[name]
    config, _ = files
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    done = cli("validate", config)
    assert done.returncode == 78, done.stdout + done.stderr
    assert re.search(pattern, done.stdout + done.stderr, re.S), done.stdout + done.stderr
    assert re.search(re.escape(str(config)) + r":\d+:\d+: ", done.stdout + done.stderr), "no file:line:column"
    assert "s3cr3t-inline" not in done.stdout + done.stderr
    started = cli("serve", "--config", config, timeout=20)
    assert started.returncode == 78, "serve starts what validate refuses"


def test_all_errors_at_once(files):
    config, _ = files
    config.write_text(config.read_text().replace("public_url:", "publik_url:").replace("effect: deny", "effect: forbid").replace("render: last4", "render: first8"))
    done = cli("validate", config)
    text = done.stdout + done.stderr
    assert done.returncode == 78 and all(word in text for word in ("publik_url", "forbid", "first8")), text


def test_validate_json(files):
    config, _ = files
    config.write_text(config.read_text().replace("effect: deny", "effect: forbid"))
    done = cli("validate", config, "--json")
    assert done.returncode == 78
    value = json.loads(done.stdout)
    assert "forbid" in json.dumps(value)


def test_missing_file_and_usage():
    assert cli("validate", "/nonexistent/sallyport.yaml").returncode in (1, 78)
    assert cli("validate").returncode == 2
    assert cli("no-such-command").returncode == 2
    assert cli().returncode == 2
    assert cli("--version").returncode == 0
    for command in (["serve"], ["validate"], ["policy", "test"], ["policy", "explain"], ["mask"], ["audit", "verify"], ["audit", "search"],
                    ["audit", "prove"], ["audit", "tail"], ["replay"], ["dev"]):
        done = cli(*command, "--help")
        assert done.returncode == 0 and "xample" in done.stdout, command


# -- policy test ---------------------------------------------------------------------------------
def test_policy_tests_pass(files):
    done = cli("policy", "test", "--config", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("small refund goes through", "a card number comes back masked"):
        assert name in done.stdout
    assert "analyst-sql" in done.stdout or "coverage" in done.stdout.lower() or "cover" in done.stdout.lower()


def test_policy_tests_fail_with_3(files):
    config, tests = files
    tests.write_text(tests.read_text().replace("decision: approve, approval: leads-one", "decision: allow"))
    done = cli("policy", "test", "--config", config, tests)
    assert done.returncode == 3, done.stdout
    assert "large refund waits for a lead" in done.stdout and "approve" in done.stdout


@pytest.mark.parametrize("change", [
    ("rules: [refund-small]", "rules: [refund-large]"), ("reply_lacks: \"4111 1111 1111\"", "reply_lacks: \"card\""), ("masked: { pan: 1 }", "masked: { pan: 2 }"),
    ("decision: deny, rules: [no-export]", "decision: allow")])
def test_each_expectation_counts(files, change):
    config, tests = files
    tests.write_text(tests.read_text().replace(*change))
    assert cli("policy", "test", "--config", config, tests).returncode == 3


def test_policy_test_json(files):
    done = cli("policy", "test", "--json", "--config", *files)
    assert done.returncode == 0
    assert "small refund goes through" in json.dumps([json.loads(line) for line in done.stdout.splitlines() if line.strip()] if not done.stdout.startswith("{\n") else json.loads(done.stdout))


@pytest.mark.parametrize("broken", ["tests: [", "tests:\n  - nam: x\n", "tests:\n  - name: x\n    as: nobody\n    call: { connection: payments, tool: x }\n    expect: { decision: allow }\n"])
def test_bad_test_file(files, broken):
    config, tests = files
    tests.write_text(broken)
    done = cli("policy", "test", "--config", config, tests)
    assert done.returncode in (2, 78, 1) and done.stderr.strip() + done.stdout.strip()


# -- policy explain ------------------------------------------------------------------------------
@pytest.mark.parametrize("who, call, code, words", [
    ("agent:agent-refunds", {"connection": "payments", "tool": "refund_order", "args": {"amount": 40, "currency": "EUR"}}, 0, ["allow", "refund-small"]),
    ("agent:agent-refunds", {"connection": "payments", "tool": "refund_order", "args": {"amount": 900}}, 3, ["approve", "refund-large", "leads-one"]),
    ("agent:agent-refunds", {"connection": "payments", "tool": "export_all"}, 3, ["deny", "no-export"]),
    ("user:carl@example.com", {"connection": "payments", "tool": "get_order", "args": {"id": "x"}}, 3, ["deny"]),
    ("user:sam@example.com,group:support", {"connection": "payments", "tool": "get_order", "args": {"id": "x"}}, 0, ["allow", "support-read"]),
])
def test_explain(files, who, call, code, words):
    done = cli("policy", "explain", "--config", files[0], "--as", who, "--call", json.dumps(call))
    assert done.returncode == code, done.stdout + done.stderr
    assert all(word in done.stdout for word in words), done.stdout
    as_json = cli("policy", "explain", "--json", "--config", files[0], "--as", who, "--call", json.dumps(call))
    assert as_json.returncode == code
    assert json.loads(as_json.stdout)["decision"] == words[0]


@pytest.mark.parametrize("argv", [["--call", "not json"], ["--call", "{}"], [], ["--sql", "select 1"], ["--call", '{"connection":"nowhere","tool":"x"}']])
def test_explain_bad_usage(files, argv):
    done = cli("policy", "explain", "--config", files[0], "--as", "agent:agent-refunds", *argv)
    assert done.returncode in (1, 2, 3) and (done.stderr + done.stdout).strip()
    assert cli("policy", "explain", "--config", files[0], "--as", "nonsense", "--call", '{"connection":"payments","tool":"x"}').returncode == 2
