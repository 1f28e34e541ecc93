"""The copy of one source beside the vendor's truth, for the three sources that have no `Stack` of their own."""

from __future__ import annotations

from typing import Any

from local.vendor import FakeVendor
from stack import Stack


class Copy:
    """One source of the deployed stack, and its fake vendor."""

    def __init__(self, stack: Stack, vendor: FakeVendor) -> None:
        self.stack = stack
        self.vendor = vendor
        self.source = stack.cloud.source(vendor.kind.name)

    def truth(self, stream: str) -> dict[str, Any]:
        """The vendor's records that are there, by id."""
        return {identity: each for identity, each in self.vendor.truth(stream).items() if not each["deleted"]}

    def ids(self, stream: str) -> list[str]:
        """The vendor's ids."""
        return sorted(self.truth(stream))

    def differences(self) -> list[str]:
        """How the copy differs from the vendor's truth; bodies are compared byte by byte."""
        found = []
        stored = self.source.all_records()
        for stream in self.source.kind.kept_under():
            records = stored.get(stream, {})
            for identity, true in self.truth(stream).items():
                body = records.get(identity, {}).get("body")
                if body != true["body"] or records[identity].get("deleted"):
                    found.append(f"{stream} {identity}: stored {body}\n    but the vendor has {true['body']}")
            strangers = set(records) - set(self.vendor.truth(stream))
            found += [f"{stream} {identity!r}: the vendor never had it" for identity in strangers]
        return found

    def settle(self) -> None:
        """Ticks the source until its copy is the vendor's truth."""

        self.source.poll_all()
        self.stack.snapshot_is_due(self.source.kind.name)

        def equal() -> bool:
            self.source.poll_all()
            return not self.differences()

        title = self.source.kind.title
        self.stack.until(equal, f"{title} equal to the vendor's truth", 90)

    def asked(self) -> int:
        """How many requests the vendor has seen."""
        return len(self.vendor.get("requests")["requests"])
