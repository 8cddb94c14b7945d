"""What the pages' own code does with text that was made to deceive."""

import json
import subprocess

from kit.paths import NODE, ROOT

SCRIPT = """
import {readFileSync} from 'node:fs';
const {tokens} = await import(process.argv[1]);
const texts = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map((text) => tokens(text))));
"""


def tokens(*texts: str) -> list:
    done = subprocess.run([NODE, "--input-type=module", "-e", SCRIPT, str(ROOT / "web" / "sql.js")], input=json.dumps(texts),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kinds(text: str) -> list[str]:
    return [kind for kind, _ in tokens(text)[0] if kind != "space"]


def test_every_character_is_shown_once():
    corpus = (ROOT / "testdata" / "pg" / "bypass.sql").read_text()
    texts = [corpus, *corpus.split(";"), "'never ends", '"nor this', "/* /* nested */ open", "$x$ open", "$1$2", "e'\\'", "a\u202eb 𝒳 é", "\\x00"]
    for text, found in zip(texts, tokens(*texts)):
        assert "".join(part for _, part in found) == text


def test_what_is_text_is_not_code():
    assert kinds("SELECT 'it''s; DROP' , \"select\" -- DROP\n, $$ from $$, E'\\' drop ', /* a /* b */ drop */ $1, 1.5e-3") == [
        "keyword", "string", "other", "name", "comment", "other", "string", "other", "string", "other", "comment", "parameter", "other", "number"]
    assert kinds("$tag$ drop $$ drop $tag$ drop") == ["string", "keyword"]
