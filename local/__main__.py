"""Command line of the local cloud; see the package."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from local import background, cloud, demo, dynalite
from local.cloud import Cloud
from local.sources import KINDS
from local.vendor import FakeVendor, start_vendors

DIRECTORY = background.ROOT / ".local"
# What `up` started, so that `down` and `invoke` find it.
RUNNING = DIRECTORY / "running.json"
# Schedules tick every minute, so a stream that misses three ticks is stale.
STALE_AFTER_SECONDS = "180"
# Functions that need no source's name on the command line.
SHORT = {"poller": "fieldmotion-poller", "fetcher": "fieldmotion-fetcher"}


def up() -> int:
    """Starts a cloud with the fake vendors and the stack in it, and leaves it running."""
    found = running()
    if found is not None and found[0].answers():
        print("The local cloud is running already; `make local-down` ends it.")
        return 1
    print("Building (minutes the first time, seconds later) ...", flush=True)
    # The shell that reads `.local/env` finds the command line beside the fake vendors.
    cloud.build_programs("tidemark-cli")
    local = Cloud(DIRECTORY)
    with contextlib.ExitStack() as cleanup:
        print("Starting the local cloud and the fake vendors ...", flush=True)
        cleanup.callback(local.stop)
        local.start()
        vendors = start_vendors(demo.SEEDS, DIRECTORY, cleanup)
        print("sam build ...", flush=True)
        local.build()
        print("sam deploy ...", flush=True)
        local.deploy(vendors, StaleAfterSeconds=STALE_AFTER_SECONDS)
        # All is well: it stays.
        cleanup.pop_all()
    state = {"port": local.port, "pid": local.pid, "vendors": {each.kind.name: each.state() for each in vendors}}
    RUNNING.write_text(json.dumps(state))
    write_environment(local, vendors)
    print("\nOutputs of the stack:")
    for name, value in local.outputs().items():
        print(f"  {name:<32}{value}")
    print(f"\nRunning: local cloud {local.url}")
    for vendor in vendors:
        print(f"  fake {vendor.kind.title:<15}{vendor.url} (control port {vendor.control_url})")
    print(
        """
The schedules tick every minute. To look at it:

  . .local/env                          # this shell then has tidemark, and works on this cloud
  tidemark --local doctor
  tidemark --local status
  tidemark --local verify fieldmotion customers --now

To work with it:

  make invoke FUNCTION=poller EVENT=events/poller-customers.json
  sam build --config-env local && sam deploy --config-env local
  make local-down

docs/tutorial.md breaks it on purpose."""
    )
    return 0


def write_environment(local: Cloud, vendors: list[FakeVendor]) -> None:
    """Writes `.local/env`, which a shell reads to work on this cloud and to command the vendors.

    The variables of each function are in a file of their own beside it.
    """
    ours = local.environment()
    names = [name for name in ours if name.startswith(("AWS_", "SAM_", "CARGO_BUILD", "CARGO_LAMBDA"))]
    lines = [f"export {name}={shlex.quote(ours[name])}" for name in sorted(names)]
    lines += [f"export {each.kind.name.upper()}_CONTROL={each.control_url}" for each in vendors]
    programs = background.target_directory() / "debug"
    paths = ":".join(shlex.quote(str(path)) for path in (Path(sys.executable).parent, programs))
    lines.append(f"export PATH={paths}:$PATH")
    (DIRECTORY / "env").write_text("\n".join(lines) + "\n")
    for function in cloud.FUNCTIONS:
        given = "".join(f"{name}={value}\n" for name, value in local.variables(function).items())
        (DIRECTORY / f"{function}.env").write_text(given)


def running() -> tuple[Cloud, list[FakeVendor]] | None:
    """The cloud and the vendors that `up` started, whether they still answer or not."""
    if not RUNNING.exists():
        return None
    state = json.loads(RUNNING.read_text())
    local = Cloud(DIRECTORY)
    local.port, local.pid = state["port"], state["pid"]
    return local, [FakeVendor(KINDS[name], each, each["pid"]) for name, each in state["vendors"].items()]


def down() -> int:
    """Ends what `up` started."""
    found = running()
    if found is None:
        print("Nothing is running.")
        return 0
    local, vendors = found
    for each in (local, *vendors):
        each.stop()
    RUNNING.unlink()
    for name in ("env", *(f"{function}.env" for function in cloud.FUNCTIONS)):
        (DIRECTORY / name).unlink(missing_ok=True)
    print("Stopped.")
    return 0


def invoke(function: str, event: Path) -> int:
    """Invokes a function of the running cloud with the event in a file; `poller` and `fetcher` are FieldMotion's."""
    try:
        payload = json.loads(event.read_text())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it is not JSON: {error}"
        print(f"{event} cannot be read: {why}\nnext: name a file of events/ with EVENT=", file=sys.stderr)
        return 1
    found = running()
    if found is None or not found[0].answers():
        print("No local cloud is running; `make local-up` starts one.", file=sys.stderr)
        return 1
    try:
        print(json.dumps(found[0].invoke(SHORT.get(function, function), payload), indent=2))
    except cloud.FunctionFailed as failed:
        print(json.dumps(failed.payload, indent=2), file=sys.stderr)
        return 1
    return 0


def log(function: str) -> int:
    """Prints what a function of the running cloud wrote into its log."""
    found = running()
    if found is None or not found[0].answers():
        print("No local cloud is running; `make local-up` starts one.", file=sys.stderr)
        return 1
    print("\n".join(found[0].log(SHORT.get(function, function))))
    return 0


def run(command: list[str]) -> int:
    """Runs a command beside an empty emulator and an empty dynalite.

    It finds their addresses in `TIDEMARK_LOCAL_ENDPOINT` and, where dynalite can be run, in `TIDEMARK_DYNALITE_URL`; and in
    `TIDEMARK_LOCAL_CALLS` the file of the calls that roles made.
    """
    local = Cloud(DIRECTORY / "run")
    try:
        local.start()
        with dynalite.running(DIRECTORY / "run") as second:
            environment = {**background.build_environment(), "TIDEMARK_LOCAL_ENDPOINT": local.url}
            environment["TIDEMARK_LOCAL_CALLS"] = str(local.calls_file)
            if second is not None:
                environment["TIDEMARK_DYNALITE_URL"] = second
            return subprocess.run(command, env=environment, check=False).returncode
    finally:
        local.stop()


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Tidemark's local cloud.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start a cloud with the stack in it, and leave it running")
    commands.add_parser("down", help="end it")
    commands.add_parser("demo", help="show the main job and leave nothing running")
    one = commands.add_parser("invoke", help="invoke a function of the running cloud")
    one.add_argument("function", choices=sorted([*cloud.FUNCTIONS, *SHORT]))
    one.add_argument("event", type=Path)
    wrote = commands.add_parser("log", help="print the log of a function of the running cloud")
    wrote.add_argument("function", choices=sorted([*cloud.FUNCTIONS, *SHORT]))
    beside = commands.add_parser("run", help="run a command beside an empty emulator and dynalite")
    beside.add_argument("argv", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: cleaned up
    if asked.command == "up":
        return up()
    if asked.command == "down":
        return down()
    if asked.command == "demo":
        return demo.main(DIRECTORY / "demo")
    if asked.command == "run":
        return run(asked.argv)
    if asked.command == "log":
        return log(asked.function)
    return invoke(asked.function, asked.event)


if __name__ == "__main__":
    sys.exit(main())
