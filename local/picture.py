"""`make picture`: draws what `make demo` ends with, from a real run, as docs/demo.svg."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios

from local.background import ROOT
from rich.console import Console
from rich.text import Text

COLUMNS = 80
# The demo's last step but its cleaning up.
FIRST, LAST = "What a person on call would ask", "Cleaning up"


def shown() -> str:
    """Runs the demo on a terminal of this width, and returns what it shows."""
    size = struct.pack("HHHH", 50, COLUMNS, 0, 0)
    heard = io.BytesIO()

    def hear(descriptor: int) -> bytes:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)
        told = os.read(descriptor, 4096)
        heard.write(told)
        return told

    if pty.spawn([sys.executable, "-m", "local", "demo"], hear) != 0:
        raise SystemExit("the demo failed, so there is no picture of it")
    return heard.getvalue().decode().replace("\r\n", "\n")


def main() -> int:
    """Draws the picture."""
    _, _, text = shown().partition(FIRST)
    text, _, _ = text.partition("\n")[2].rpartition(LAST)
    text = text.rpartition("\n[")[0].strip("\n")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(text))
    # A picture asks no other host for its letters.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="make demo"), flags=re.DOTALL)
    (ROOT / "docs" / "demo.svg").write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
