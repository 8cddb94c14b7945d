"""The page of a replay in a browser: what its badge says, and what a forger makes of it."""

import base64
import hashlib
import json

from kit.process import eventually

SILENT = "NOT verified: this file was changed, or its script does not run here."


def look(viewer, file) -> tuple[str, str]:
    """The badge: its class and its words, once the script has spoken or the browser has refused it."""
    said = len(viewer.console())
    viewer.goto(url=f"file://{file}")
    viewer.wait(selector="#badge")
    script = "[document.getElementById('badge').className, document.getElementById('badge').textContent]"

    def spoken():
        return viewer.evaluate(script=script)[1] != SILENT or len(viewer.console()) > said
    assert eventually(spoken, 10, step=0.02)
    return tuple(viewer.evaluate(script=script))


def file_with(file, content: bytes):
    file.write_bytes(content)
    return file


def rebuilt(original: str, change) -> str:
    """The evidence changed, and all digests of the file made to fit again: what a forger would do."""
    def digest(text):
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    head, rest = original.split('<script type="application/json" id="evidence">')
    evidence, tail = rest.split("</script>", 1)
    new = json.dumps(change(json.loads(evidence))).replace("<", "\\u003c")
    script = tail.split("<script>")[1].split("</script>")[0]
    changed = script.replace(digest(evidence), digest(new))
    assert changed != script or evidence == new
    head = head.replace(digest(script), digest(changed))
    return head + '<script type="application/json" id="evidence">' + new + "</script>" + tail.replace(script, changed)
