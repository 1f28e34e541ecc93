"""A fake vendor: one of the four on loopback, that can be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from local import background
from local.sources import KINDS, Kind


class VendorRefused(RuntimeError):
    """The control API said no; the text says why."""


class FakeVendor:
    """A running fake vendor; `shared/fakes/src/lib.rs` documents its control API."""

    def __init__(self, kind: Kind, addresses: dict[str, Any], pid: int) -> None:
        self.kind = kind
        self.url: str = addresses["vendor_url"]
        self.control_url: str = addresses["control_url"]
        # The credential that it accepts, in the shape of the source's secret.
        self.secret: dict[str, str] = addresses["secret"]
        self.pid = pid

    @classmethod
    def start(cls, name: str, log: Path, seed: int = 1) -> FakeVendor:
        """Starts the program that `cargo build --bins` made, on free ports."""
        program = background.target_directory() / "debug" / "fake-vendor"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [program, name, "--seed", str(seed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        if not line:
            raise RuntimeError(f"the fake {name} did not start; see {log}")
        return cls(KINDS[name], json.loads(line), process.pid)

    def state(self) -> dict[str, Any]:
        """What another process needs to find it again."""
        addresses = {"vendor_url": self.url, "control_url": self.control_url}
        return {**addresses, "secret": self.secret, "pid": self.pid}

    def stop(self) -> None:
        """Ends it."""
        background.stop(self.pid, "fake-vendor")

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Calls the control API, such as `post("seed", stream="customers", count=500)`."""
        return self._call(path, json.dumps(body).encode())

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Asks the control API, such as `get("truth", stream="customers")`."""
        return self._call(f"{path}?{urllib.parse.urlencode(query)}", None)

    def truth(self, stream: str, fields: str | None = None) -> dict[str, Any]:
        """What a copy of the stream must arrive at, by id."""
        query = {"stream": stream} if fields is None else {"stream": stream, "fields": fields}
        return self.get("truth", **query)["records"]

    def down(self) -> None:
        """Closes every connection from now on."""
        self.post("mode", mode="down")

    def up(self) -> None:
        """Answers again."""
        self.post("mode", mode="up")

    def _call(self, path: str, body: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.control_url}/{path}", data=body)
        try:
            # An opener without proxies: this is loopback, whatever the environment says.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise VendorRefused(f"{path}: {refused.read().decode(errors='replace')}") from refused


def start_vendors(
    seeds: dict[str, dict[str, int]], directory: Path, cleanup: contextlib.ExitStack
) -> list[FakeVendor]:
    """Starts these fakes with so many records in each stream; their logs go to `directory`, `cleanup` ends them."""
    vendors = []
    for name, counts in seeds.items():
        vendor = FakeVendor.start(name, directory / f"{name}.log")
        cleanup.callback(vendor.stop)
        for stream, count in counts.items():
            vendor.post("seed", stream=stream, count=count)
        vendors.append(vendor)
    return vendors
