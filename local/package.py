"""Packing what `sam build` laid out: each program once.

Functions of the same program share it, but `sam deploy` packs the folder of each function by itself: half a minute for
nine unoptimised ones. A file it takes as it is.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

# What Lambda starts, and its rights.
PROGRAM = "bootstrap"
EXECUTABLE = 0o100755


def pack(template: Path) -> None:
    """Packs the programs beside a built template, and lets its functions name the archives in place of their folders."""

    def packed(folder: re.Match[str]) -> str:
        return f"{folder[1]}{archive_of(template.parent / folder[2]).name}"

    template.write_text(re.sub(r"^( +CodeUri: )(\w+)$", packed, template.read_text(), flags=re.MULTILINE))


def archive_of(folder: Path) -> Path:
    """The archive of a folder's program, made unless there is one of the same program."""
    program = (folder / PROGRAM).read_bytes()
    archive = folder.with_name(f"{hashlib.sha256(program).hexdigest()}.zip")
    if not archive.exists():
        entry = zipfile.ZipInfo(PROGRAM)
        entry.create_system = 3  # Unix, whose rights follow
        entry.external_attr = EXECUTABLE << 16
        with zipfile.ZipFile(archive, "w") as packing:
            packing.writestr(entry, program, zipfile.ZIP_DEFLATED, compresslevel=1)
    return archive
