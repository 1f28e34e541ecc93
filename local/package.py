"""Packing what `sam build` laid out: each program once.

Functions of the same program share it, but `sam deploy` packs the folder of each function by itself: half a minute for
nine unoptimised ones. A file it takes as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from pathlib import Path

# What Lambda starts, and its rights.
PROGRAM = "bootstrap"
EXECUTABLE = 0o100755


def pack(built: Path) -> None:
    """Packs the programs in a folder of built templates, and lets the functions name the archives, not their folders."""
    for template in built.rglob("template.yaml"):

        def packed(folder: re.Match[str], template: Path = template) -> str:
            archive = archive_of(template.parent / folder[2], built)
            return f"{folder[1]}{os.path.relpath(archive, template.parent)}"

        template.write_text(re.sub(r"^( +Code: )(\w+)$", packed, template.read_text(), flags=re.MULTILINE))


def archive_of(folder: Path, place: Path) -> Path:
    """The archive of a folder's program in `place`, made unless there is one of the same program."""
    program = (folder / PROGRAM).read_bytes()
    archive = place / f"{hashlib.sha256(program).hexdigest()}.zip"
    if not archive.exists():
        entry = zipfile.ZipInfo(PROGRAM)
        entry.create_system = 3  # Unix, whose rights follow
        entry.external_attr = EXECUTABLE << 16
        with zipfile.ZipFile(archive, "w") as packing:
            packing.writestr(entry, program, zipfile.ZIP_DEFLATED, compresslevel=1)
    return archive
