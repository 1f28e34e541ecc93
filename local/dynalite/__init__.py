"""dynalite, a DynamoDB written by others than the emulator: what both accept is more than one program's opinion."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from local import background

FOLDER = Path(__file__).resolve().parent
# The oldest Node.js that it runs on.
NODE_MAJOR = 20


@contextlib.contextmanager
def running(directory: Path) -> Iterator[str | None]:
    """Runs dynalite on a free loopback port and yields its address, or nothing where Node.js is missing or too old.

    Its log is in `directory`.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or major_of(node) < NODE_MAJOR:
        print(f"dynalite needs Node.js {NODE_MAJOR} and npm: its tests are skipped", file=sys.stderr)
        yield None
        return
    install(npm)
    port = background.free_port()
    url = f"http://127.0.0.1:{port}"
    program = FOLDER / "node_modules" / "dynalite" / "cli.js"
    options = ["--host", "127.0.0.1", "--port", str(port), "--createTableMs", "0", "--deleteTableMs", "0"]
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "dynalite.log").open("wb") as log:
        process = subprocess.Popen(
            [node, program, *options],
            cwd=directory,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        background.wait_for("dynalite", lambda: answers(url))
        yield url
    finally:
        background.stop(process.pid, "dynalite")


def major_of(node: str) -> int:
    """The first number of the version of Node.js."""
    shown = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return int(shown.strip().removeprefix("v").split(".")[0])


def install(npm: str) -> None:
    """Installs what the lock file names, unless it is there already."""
    installed, wanted = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
        return
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    subprocess.run([npm, "ci", *quiet], cwd=FOLDER, check=True)


def answers(url: str) -> bool:
    """Whether it is there."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
