"""`make invoke` with a file that is no event."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("written", "cause"), [(None, "No such file or directory"), (b"{", "it is not JSON"), (b"\xff", "it is not JSON")]
)
def test_a_file_that_is_no_event_is_named_with_its_cause_and_a_next_step(tmp_path, written, cause):
    event = tmp_path / "event.json"
    if written is not None:
        event.write_bytes(written)
    asked = [sys.executable, "-m", "local", "invoke", "poller", str(event)]
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{event} cannot be read: {cause}" in ran.stderr
    assert "next: " in ran.stderr and "Traceback" not in ran.stderr
