"""The compiled Python requirements: those that were asked for, whole, and from wherever pip is set up to look."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPILED = (ROOT / "requirements.txt").read_text()
PIN = re.compile(r"^([A-Za-z0-9._-]+==[^\s;]+)", re.MULTILINE)


def test_what_is_asked_for_is_compiled() -> None:
    asked = set(PIN.findall((ROOT / "requirements.in").read_text()))
    missing = asked - set(PIN.findall(COMPILED))
    assert asked and not missing, f"run `make lock`: {missing}"


def test_everything_is_pinned_with_hashes_and_names_no_index() -> None:
    # Continued lines joined, without comments.
    lines = re.sub(r"\\\n", "", re.sub(r"^\s*#.*\n", "", COMPILED, flags=re.MULTILINE)).splitlines()
    bare = [line for line in lines if line.strip() and not (PIN.match(line) and "--hash=sha256:" in line)]
    assert lines and not bare, bare
    assert "://" not in COMPILED
