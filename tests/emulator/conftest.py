"""An emulator without a stack, as `make test` runs the contract suites on it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from local import background
from local.cloud import Cloud


@pytest.fixture(scope="session")
def cloud():
    """An empty local cloud."""
    found = Cloud(background.ROOT / ".local" / "emulator")
    try:
        found.start()
        yield found
    finally:
        found.stop()
