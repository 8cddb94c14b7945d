"""What docs/verify/verify.py says of the logs and proofs that ledger_verdicts wrote: judge.py DIR VKEY"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs" / "verify"))
import verify  # noqa: E402


def word(check) -> str:
    try:
        check()
        return "ok"
    except (verify.Wrong, OSError):
        return "bad"


directory, vkey = pathlib.Path(sys.argv[1]), sys.argv[2]
number = 0
while (case := directory / str(number)).exists():
    print(word(lambda: verify.verify_log(case / "log", vkey)),
          word(lambda: verify.verify_proof((case / "proof").read_bytes(), (case / "entry").read_bytes(), vkey)))
    number += 1
