"""Measures how long `tidemark` takes on a stack with all sources and 1,000,000 records: `python tests/bench/command_line.py`.

The stack is deployed on the local cloud, and the records are put into its table. What is printed is the median of the wall
times of whole processes, debug build, with the most that the design allows.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from local import background, cloud
from local.cloud import Cloud
from local.demo import SEEDS
from local.vendor import start_vendors

RECORDS = 1_000_000
BATCH = 25
RUNS = 7
# Commands, and the seconds that each may take at most.
COMMANDS = {
    "version": 0.05,
    "status": 2.0,
    "explain fieldmotion customers 500000": 2.0,
    "quarantine list": 2.0,
}


def fill(local: Cloud) -> None:
    """Puts the records into the table, as the fetcher would write them."""
    table = local.outputs()["RecordsTable"]
    client = local.client("dynamodb")

    def put(first: int) -> None:
        items = [
            {
                "partition": {"S": "fieldmotion#customers"},
                "id": {"S": str(number)},
                "body": {"S": '{"id":"%d","name":"%s"}' % (number, "x" * 160)},
                "last_edited": {"S": "2026-02-24 10:00:00"},
                "last_edited_ms": {"N": "1771927200000"},
                "fetched_at_ms": {"N": "1771929108000"},
                "hash": {"B": b"0123456789abcdef"},
                "schema_version": {"N": "2"},
            }
            for number in range(first, first + BATCH)
        ]
        left = client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})
        assert not left["UnprocessedItems"]

    with ThreadPoolExecutor(max_workers=4) as pool:
        for done, _ in enumerate(pool.map(put, range(0, RECORDS, BATCH))):
            if done % 4_000 == 0:
                print(f"{done * BATCH} records", flush=True)


def took(local: Cloud, command: str) -> float:
    """The seconds of one run."""
    begin = time.monotonic()
    ended = local.tidemark(*command.split(), capture_output=True)
    assert ended.returncode in (0, 1), ended.stderr
    return time.monotonic() - begin


def main() -> int:
    """Deploys, fills and measures."""
    directory = background.ROOT / ".local" / "bench"
    cloud.build_programs("tidemark-cli")
    with contextlib.ExitStack() as cleanup:
        local = Cloud(directory)
        cleanup.callback(local.stop)
        local.start()
        vendors = start_vendors(SEEDS, directory, cleanup)
        local.build()
        local.deploy(vendors, PollRate="rate(1 hour)", ScanRate="rate(1 hour)")
        for vendor in vendors:
            local.source(vendor.kind.name).poll_all()
        fill(local)
        missed = False
        for command, budget in COMMANDS.items():
            median = statistics.median(took(local, command) for _ in range(RUNS))
            missed |= median > budget
            print(f"tidemark {command}: {median:.3f} s (at most {budget} s)", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
