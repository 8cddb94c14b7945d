"""The bypass corpus: reading the case file (its header has the format), playing a case, judging what came back."""

import pathlib
import re
import struct
import time
from dataclasses import dataclass, field

from kit import pgwire
from kit.pg_oracle import Oracle
from kit.pgwire import Gone, Refused, ServerError, Where, Wire, cells_of, fields_of, unescape

EXPECT = ("mask", "block", "mask|block", "infer", "allow")
SINGLE = {"expect", "mode", "layer", "world", "rows"}
SEVERAL = {"direct": "direct", "false": "false", "msg": "script"}


@dataclass
class Case:
    id: str
    category: str
    title: str
    expect: str = ""
    mode: str = "simple"
    layer: str = ""
    world: str = ""
    rows: str = ""
    unchanged: bool = False
    direct: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    script: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    @property
    def modes(self) -> list[str]:
        """How the case is sent: a plain one in three ways; one with messages of its own, or about the protocol, as it says."""
        if self.script:
            return [self.mode]
        return {"simple": ["simple", "ext", "extbin"], "simple-only": ["simple"]}.get(self.mode, [self.mode])


def load(path: pathlib.Path) -> tuple[str, list[Case]]:
    """(the schema's SQL, the cases); ValueError names the line that cannot be read."""
    schema, cases, inside = [], [], False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        def bad(what):
            raise ValueError(f"{path.name}:{number}: {what}")
        if line.startswith(("-- @schema", "-- @end")):
            inside = line.startswith("-- @schema")
        elif inside:
            schema.append(line)
        elif match := re.match(r"-- @case (\w+) \| (\S+) \| (.+)$", line):
            cases.append(Case(*match.groups()))
        elif match := re.match(r"-- @(\w+) ?(.*)$", line):
            key, value = match.groups()
            if not cases:
                bad("a directive before the first case")
            if key in SINGLE:
                setattr(cases[-1], key, value.strip())
            elif key in SEVERAL:
                getattr(cases[-1], SEVERAL[key]).append(value)
            elif key == "unchanged":
                cases[-1].unchanged = True
            else:
                bad(f"unknown directive @{key}")
        elif line.strip() and not line.startswith("--"):
            if not cases:
                bad("a statement outside a case")
            cases[-1].steps.append(line)
    for case in cases:
        if case.expect not in EXPECT or not (case.steps or case.script):
            raise ValueError(f"{path.name}: {case.id} has no @expect or nothing to send")
        if case.expect == "infer" and not (case.world or case.false):
            raise ValueError(f"{path.name}: {case.id} needs @world or @false")
    if len({c.id for c in cases}) != len(cases):
        raise ValueError(f"{path.name}: a case id occurs twice")
    return "\n".join(schema), cases


@dataclass
class Played:
    messages: list = field(default_factory=list)
    gone: str = ""  # the session ended, and how
    refused: bool = False
    seconds: float = 0
    obeyed: bool = False  # a forged cancel or bytes behind SSLRequest had an effect
    no_tls: bool = False

    @property
    def own(self) -> list[ServerError]:
        return [e for e in pgwire.errors(self.messages) if not e.of_the_server]

    @property
    def of_the_server(self) -> list[ServerError]:
        return [e for e in pgwire.errors(self.messages) if e.of_the_server]

    @property
    def shape(self) -> list[int]:
        return [len(cells_of(body)) for kind, body in self.messages if kind == "D"]


def play(where: Where, case: Case, mode: str, steps: list[str], lab) -> Played:
    """Sends one case on a new session."""
    played, begin, wire = Played(), time.monotonic(), None
    try:
        if case.script:
            Script(where, case, lab, played).run()
        else:
            wire = Wire(where)
            played.messages = wire.seen
            for step in steps:
                if mode == "simple":
                    wire.query(step)
                else:
                    wire.extended(step, results=(1,) if mode == "extbin" else ())
            if mode == "ext":  # again by its name, without Describe: no RowDescription comes
                wire.parse(steps[-1], "again")
                wire.sync()
                wire.bind(name="again")
                wire.execute()
                wire.sync()
                wire.until_ready()
                wire.until_ready()
            wire.drain(0.02)
    except Refused as refused:
        played.messages, played.refused = refused.messages, True
    except Gone as gone:
        played.gone = str(gone)
    if wire:
        wire.terminate()
    played.seconds = time.monotonic() - begin
    return played


class Script:
    """The @msg lines: one protocol message each."""

    def __init__(self, where: Where, case: Case, lab, played: Played):
        self.where, self.case, self.lab, self.played = where, case, lab, played
        self.wire: Wire | None = None

    def session(self) -> Wire:
        if self.wire is None:
            self.open({})
        return self.wire

    def open(self, extra) -> None:
        self.wire = Wire(self.where, login=False)
        self.wire.seen = self.played.messages
        self.wire.on_copy = False
        self.wire.start(extra)

    def run(self) -> None:
        try:
            for line in self.case.script:
                name, _, rest = line.partition(" ")
                getattr(self, "do_" + name)(rest, [part.strip() for part in re.split(r"\|(?:\s+|$)", rest)] + [""] * 4)
            if self.wire:
                self.wire.drain(0.02)
        finally:
            if self.wire:
                self.wire.terminate()

    def do_startup(self, rest, parts):
        self.open(dict(part.strip().split("=", 1) for part in rest.split(" | ")))

    def do_sslbuf(self, rest, parts):
        """A startup packet right behind SSLRequest, in one write: nothing of it may be obeyed."""
        body = pgwire.text(f"user\0{self.where.user}\0database\0{self.where.database}\0\0")
        wire = Wire(self.where.but(tls=False), login=False)
        wire.write(pgwire.SSL_REQUEST + struct.pack(">ii", len(body) + 8, pgwire.PROTOCOL_3_0) + body)
        wire.socket.settimeout(3)
        got = b""
        try:
            while len(got) < 64 and (more := wire.socket.recv(64)):
                got += more
        except OSError:
            pass
        wire.drop()
        self.played.no_tls = got[:1] == b"N"
        self.played.obeyed = got[:1] == b"S" and got[1:2] in (b"R", b"v")

    def do_cancel(self, rest, parts):
        wire = self.session()
        wire.send("Q", b"SELECT pg_sleep(0.6)\0")
        time.sleep(0.2)
        key = bytes(len(wire.key)) if parts[0] == "zero" else bytes(b ^ 1 for b in wire.key)
        pgwire.cancel(self.where, wire.pid, key)
        self.played.obeyed = any(e.get("C") == "57014" for e in pgwire.errors(wire.until_ready()))

    def do_segment(self, rest, parts):
        self.session().segment = int(parts[0])

    def do_Q(self, rest, parts):
        self.session().query(unescape(rest))

    def do_Qnowait(self, rest, parts):
        self.session().send("Q", unescape(rest) + b"\0")

    def do_Qraw(self, rest, parts):
        self.session().send("Q", unescape(rest))
        self.session().until_ready()

    def do_P(self, rest, parts):
        name, _, statement = rest.partition(" | ")
        self.session().parse(unescape(statement), unescape(name.strip()))

    def do_B(self, rest, parts):
        self.session().bind(unescape(parts[0]), unescape(parts[1]), [unescape(v) for v in parts[3].split(",") if v], (),
                            [int(f) for f in parts[2].split(",") if f])

    def do_D(self, rest, parts):
        self.session().describe(rest[:1], unescape(rest[2:]))

    def do_E(self, rest, parts):
        self.session().execute(unescape(parts[0]), int(parts[1] or 0))

    def do_C(self, rest, parts):
        self.session().close_name(rest[:1], unescape(rest[2:]))

    def do_F(self, rest, parts):
        number = int(self.lab.sql(f"SELECT '{parts[0]}'::regprocedure::oid")[0][0])
        values = [unescape(p) for p in parts[1:] if p]
        body = struct.pack(">Ihh", number, 0, len(values)) + b"".join(struct.pack(">i", len(v)) + v for v in values)
        self.session().send("F", body + struct.pack(">h", 0))
        self.session().until_ready()

    def do_H(self, rest, parts):
        self.session().send("H")

    def do_c(self, rest, parts):
        self.session().send("c")

    def do_d(self, rest, parts):
        self.session().send("d", unescape(rest))

    def do_f(self, rest, parts):
        self.session().send("f", unescape(rest) + b"\0")

    def do_S(self, rest, parts):
        self.session().sync()
        self.session().until_ready()

    def do_wait(self, rest, parts):
        self.session().until_ready()

    def do_X(self, rest, parts):
        self.session().terminate()
        self.wire = None
        time.sleep(0.1)


# -- judging -------------------------------------------------------------------------------------------

def visible(messages) -> list:
    """What a client can tell apart, without what differs between any two runs: keys, ids of decisions."""
    out = []
    for kind, body in messages:
        if kind == "E":
            error = ServerError(body)
            if not error.of_the_server:
                error = {k: re.sub(r"\b[dr]_[\w-]+", "#", v) for k, v in error.items()}
            out.append((kind, tuple(sorted(error.items()))))
        elif kind in "TDCIGHdcs123tnAVN":
            out.append((kind, body))
    return out


def code_shown(messages, reference, codes: set[tuple[int, int]]) -> bool:
    """A cell that is a verification code where the reference comes from, and that still has its value."""
    columns, cells = [], []
    for kind, body in reference:
        if kind == "T":
            columns = [(c.table, c.column) in codes for c in fields_of(body)]
        elif kind == "D":
            cells.append([(at < len(columns) and columns[at], c) for at, c in enumerate(cells_of(body))])
    got = pgwire.rows_of(messages)
    return any(is_code and value is not None and at < len(answer) and answer[at] == value
               for row, answer in zip(cells, got) for at, (is_code, value) in enumerate(row))


class Judge:
    """Plays cases through `gate` and says for each whether it held: "" or what went wrong."""

    def __init__(self, gate: Where, lab, oracle: Oracle):
        self.gate, self.lab, self.oracle = gate, lab, oracle

    def judge(self, case: Case, mode: str) -> str:
        self.lab.restore()
        self.lab.prepare(case.direct)
        try:
            return self._infer(case, mode) if case.expect == "infer" else self._judge(case, mode)
        finally:
            self.lab.restore()

    def _judge(self, case: Case, mode: str) -> str:
        reference = Played()
        after = None
        if case.expect in ("mask", "allow"):
            reference = play(self.lab.as_app, case, mode, case.steps, self.lab)
            after = self.lab.state()
            if after != self.lab.baseline and not case.direct:
                self.lab.restore()
        before = self.lab.state()
        played = play(self.gate, case, mode, case.steps, self.lab)
        if played.no_tls:
            return "no TLS is offered"
        time.sleep(0.01)
        state = self.lab.state()
        if wrong := self._leaks(case, mode, played):
            return wrong
        if played.obeyed:
            return "it was obeyed"
        if case.script and case.script[0].split()[0] in ("cancel", "sslbuf"):
            return ""
        if played.gone and not played.own:
            return f"the session ended without a word: {played.gone}"
        said = [str(e) for e in (*played.own, *played.of_the_server)]
        if case.expect == "allow":
            return self._allowed(played, reference, state, after, said)
        if case.unchanged and state != before:
            return "the database changed"
        if case.expect == "mask":
            return self._masked(played, reference, said)
        if case.expect == "mask|block":
            return ""
        if state != before:
            return "the database changed"
        if case.rows and len(played.shape) != int(case.rows):
            return f"{len(played.shape)} rows"
        if played.own:
            return ""
        return f"reached the server: {said[0]}" if said else "was not refused"

    def _leaks(self, case: Case, mode: str, played: Played) -> str:
        """A leak shows again; digits of a decision id that look like a card number's middle do not."""
        found = self.oracle.leaks(played.messages)
        if not found:
            return ""
        if self.lab.state() != self.lab.baseline:
            self.lab.restore()
            self.lab.prepare(case.direct)
        again = self.oracle.leaks(play(self.gate, case, mode, case.steps, self.lab).messages)
        return "LEAK " + ", ".join(found) if {f[0] for f in found} & {f[0] for f in again} else ""

    @staticmethod
    def _allowed(played, reference, state, after, said) -> str:
        if played.own:
            return f"refused: {said[0]}"
        if visible(played.messages) != visible(reference.messages):
            return "the answer is not the server's"
        return "" if state == after else "the effect is not the server's"

    def _masked(self, played, reference, said) -> str:
        if said:
            return f"refused: {said[0]}"
        if played.shape != reference.shape:
            return f"{len(played.shape)} rows instead of {len(reference.shape)}"
        if code_shown(played.messages, reference.messages, self.lab.codes()):
            return "LEAK of a verification code"
        return ""

    def _infer(self, case: Case, mode: str) -> str:
        """Two worlds, or two guesses, that differ in hidden digits only: the same answer, in the same time."""
        def ask(second: bool):
            steps = case.steps
            self.lab.restore()
            if case.world:
                self.lab.world(case.world if second else self.oracle.numbers[0])
            elif second:
                steps = case.false
            played = play(self.gate, case, mode, steps, self.lab)
            leaks = set(self.oracle.leaks(played.messages)) if case.world else set()
            return visible(played.messages), played.seconds, leaks, played.gone and not played.own

        def differ(a, b) -> str:
            if a[0] != b[0]:
                return "the answers differ"
            return "the times differ" if abs(a[1] - b[1]) > 1 else ""

        if case.world:
            self.oracle.add(case.world)
        try:
            first, second = ask(False), ask(True)
            if first[3] or second[3]:
                return "the session ended without a word"
            if not (differ(first, second) or first[2]):
                return ""
            again = ask(False)
            if first[2] & again[2]:
                return "LEAK " + ", ".join(sorted(first[2]))
            return "" if differ(first, again) else differ(first, second)
        finally:
            if case.world:
                self.lab.world(self.oracle.numbers[0])
