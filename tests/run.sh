#!/usr/bin/env bash
# Runs the black-box tests against $SALLYPORT_BIN. Arguments are files of this folder, or options of pytest.
set -euo pipefail
cd "$(dirname "$0")"
exec ../build/venv/bin/python -m pytest -n "${SALLYPORT_TEST_JOBS:-2}" --dist loadfile -q "$@"
