"""Programs that run in the background, started and ended by their own process id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, check: Callable[[], T], timeout: float = 60, pause: float = 0.2) -> T:
    """Calls `check` until it returns something true, and returns that.

    Raises `TimeoutError` naming `what` after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while not (found := check()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s")
        time.sleep(pause)
    return found


def host_triple() -> str:
    """The target that rustc builds for on this machine."""
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return next(line.removeprefix("host: ") for line in version.splitlines() if line.startswith("host: "))


def target_directory() -> Path:
    """Where cargo puts what `build_environment` makes it build."""
    base = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return base / os.environ.get("CARGO_BUILD_TARGET", host_triple())


def build_environment() -> dict[str, str]:
    """The environment in which everything local is built.

    cargo-lambda always names its target, so the others must too, or two folders fill with the same crates. The
    tools are those installed beside the Python that runs this.
    """
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CARGO_BUILD_TARGET": os.environ.get("CARGO_BUILD_TARGET", host_triple()),
        "CARGO_LAMBDA_COMPILER": "cargo",
        "SAM_BUILD_MODE": "debug",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.5",
    }


def command_of(pid: int) -> str:
    """The command line of a running process, or nothing."""
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return shown.stdout.strip()


def stop(pid: int, expected: str, patience: float = 10) -> None:
    """Ends the process `pid` and the group it leads, if its command line still contains `expected`.

    The check keeps a stale file from ending a stranger that got the same number.
    """
    if expected not in command_of(pid):
        return
    for each, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, each)
        end = time.monotonic() + wait
        while time.monotonic() < end:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            try:
                os.killpg(pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.05)
