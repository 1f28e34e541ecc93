"""`make new-source NAME=acme`: writes a source that compiles, and whose contract tests name what is left to write.

The files of `shared/sources/new-source` are those of a vendor called Acme; they are copied under the new name. What the
rest of the workspace has to know is copied from the lines of a source that is there. docs/add-a-source.md goes on from
here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What is left to write says so in these words.
UNWRITTEN = "not written yet, see docs/add-a-source.md"
# Where each file of the folder goes.
FILES = {
    **{f"source/{each}.rs": f"shared/sources/src/{{name}}/{each}.rs" for each in ("mod", "streams", "call", "answer", "settings")},
    "fake.rs": "shared/fakes/src/{name}/mod.rs",
    "contract.rs": "shared/sources/tests/contract/{name}.rs",
    "page.md.in": "docs/sources/{name}.md",
}
REGISTRY = """,
  "acme": {
    "title": "Acme Title",
    "prefix": "Acme",
    "secret": ["api_key"],
    "lists_rows": true,
    "streams": [
      {"name": "jobs", "on_by_default": true, "filtered": true}
    ],
    "demo": {"jobs": 20}
  }
}
"""


class Refused(Exception):
    """Why nothing was written."""


class NewSource:
    """A source to be written into a checkout."""

    def __init__(self, root: Path, title: str) -> None:
        self.root = root
        self.title = title
        # Words in capitals, such as FSM, are one capital letter in a type's name.
        words = [word.capitalize() if word.isupper() else word[:1].upper() + word[1:] for word in title.split()]
        self.prefix = "".join(words)
        self.name = self.prefix.lower()
        self.edits: dict[Path, str] = {}

    def prepare(self) -> None:
        """Makes all texts, and writes none. Raises `Refused`."""
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,30}", self.prefix):
            raise Refused(f"{self.title!r} is no name for a source: use letters and digits, and begin with a letter")
        for template, place in FILES.items():
            path = self.root / place.format(name=self.name)
            if path.exists():
                raise Refused(f"{path.relative_to(self.root)} is there already")
            self.edits[path] = self.renamed((self.root / "shared/sources/new-source" / template).read_text())
        self.places()

    def places(self) -> None:
        """What has to know of a source outside its own folders: each file once."""
        self.insert("shared/engine/src/stream.rs", f"    /// {self.title}: numbered pages of whole rows, behind an API key.\n"
            f"    {self.prefix},\n", before="}\n\nimpl SourceKind {")  # fmt: skip
        self.beside("shared/sources/src/lib.rs", "pub mod fieldly;\n")
        registry = "shared/sources/src/registry.rs"
        self.beside(registry, "use crate::fieldly::{Fieldly, FieldlySettings};\n")
        self.beside(registry, "    /// Fieldly.\n    Fieldly(Fieldly<C, K>),\n")
        self.beside(registry, r"        SourceKind::Fieldly => \{\n            let .*\n            Ok.*\n        \}\n", is_pattern=True)
        self.beside(registry, r"            SourceKind::Fieldly => \{\n                use .*\n.*\n            \}\n", is_pattern=True)
        self.beside(registry, "            AnySource::Fieldly($source) => $call,\n")
        text = self.text("shared/sources/sources.json")
        self.put("shared/sources/sources.json", text.rstrip().removesuffix("}").rstrip() + self.renamed(REGISTRY))
        self.beside("shared/fakes/src/lib.rs", "pub mod fieldly;\n")
        self.beside("shared/fakes/src/lib.rs", r'    \("fieldly", .*\n', is_pattern=True)
        self.beside("shared/sources/tests/contract/main.rs", "mod fieldly;\n")
        self.beside("shared/sources/tests/contract/main.rs", "suite!(fieldly_keeps_it, crate::fieldly::FakeFieldly);\n")
        self.beside("docs/sources/README.md", r"\| `fieldly` .*\n", is_pattern=True)
        self.template()

    def template(self) -> None:
        """The parts of template.yaml are those of FieldAware, which has one stream, behind the last source's."""
        place = "infra/template.yaml"
        parts = (
            (r"      - Label: \{ default: FieldAware \}\n(?:.*\n){2}", "      - Label: { default: Pace }\n"),
            (r"  FieldAwareBaseUrl: (?:.+\n)+\n", "  PollRate: { Type"),
            (r"  FieldAwareOn: .*\n", "\nResources:\n"),
            (r"          TIDEMARK_FIELDAWARE_STREAMS: .*\n", "          TIDEMARK_FIELDLY_SETTINGS"),
            (r"          - !If \[FieldAwareOn, .*\n", "          - '\"}}]}'\n"),
            (r"  FieldAware:\n(?:.+\n)+\n", "Outputs:\n"),
        )
        for pattern, before in parts:
            self.insert(place, self.as_here(self.found(place, pattern)), before=before)
        outputs = "".join(re.findall(r"  FieldAware\w+: \{ Condition: .*\n", self.text(place)))
        self.put(place, self.text(place) + self.as_here(outputs))

    def as_here(self, text: str) -> str:
        """FieldAware's part of the template, as it is for this source at first."""
        for theirs, ours in (
            ("https://api.fieldaware.net", f"https://api.{self.name}.example"),
            ('{"token":"..."}', '{"api_key":"..."}'),
            ("The one stream, changes, or all. Which record streams are kept is a setting.",
             "Streams to keep up to date, separated by commas, or all."),
            ("changes=", "jobs="),
            ("BatchSize: 1", "BatchSize: 5"),
            ("FIELDAWARE", self.name.upper()),
            ("fieldaware", self.name),
        ):  # fmt: skip
            text = text.replace(theirs, ours)
        return re.sub("FieldAware", self.title, re.sub(r"FieldAware(?=[A-Z.:])", self.prefix, text))

    def renamed(self, text: str) -> str:
        """A text about Acme, as one about this source."""
        return text.replace("Acme Title", self.title).replace("Acme", self.prefix).replace("acme", self.name)

    def beside(self, place: str, block: str, *, is_pattern: bool = False) -> None:
        """Copies a block of Fieldly's, under this source's name, behind it."""
        block = self.found(place, block if is_pattern else re.escape(block))
        copy = block.replace("Fieldly", self.prefix).replace("fieldly", self.name)
        self.put(place, self.text(place).replace(block, block + copy))

    def found(self, place: str, pattern: str) -> str:
        found = re.findall(pattern, self.text(place))
        if len(found) != 1:
            raise Refused(f"{place} has {len(found)} places of the form {pattern!r}; local/new_source.py expects one")
        return found[0]

    def insert(self, place: str, text: str, *, before: str) -> None:
        self.found(place, re.escape(before))
        self.put(place, self.text(place).replace(before, text + before))

    def text(self, place: str) -> str:
        path = self.root / place
        return self.edits.get(path) or path.read_text()

    def put(self, place: str, text: str) -> None:
        self.edits[self.root / place] = text

    def write(self) -> list[Path]:
        """Writes what was prepared, and returns the files outside the source's own folders."""
        known = [path for path in self.edits if path.exists()]
        for path, text in self.edits.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return known


def main(title: str) -> None:
    """Writes a source, and says how to go on."""
    source = NewSource(ROOT, title)
    try:
        source.prepare()
    except Refused as why:
        sys.exit(f"nothing is written: {why}")
    known = source.write()
    crates = ("engine", "sources", "fakes")
    subprocess.run(["cargo", "fmt", *(f"--package=tidemark-{crate}" for crate in crates)], cwd=ROOT, check=True)
    print(f"{source.title} is in its own folders, and known in:")
    for path in known:
        print(f"  {path.relative_to(ROOT)}")
    print(f"next: cargo test -p tidemark-sources --test contract {source.name}")
    print("It fails in what is not written yet, and names each place: docs/add-a-source.md goes through them.")


if __name__ == "__main__":
    main(sys.argv[1])
