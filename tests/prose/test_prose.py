"""The countable part of how this project writes: links, codes, function names, words and lengths.

`make check` runs it. It needs no build and no history, only the files.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = {"target", ".venv", ".aws-sam", ".local", ".git", "node_modules", ".pytest_cache", "__pycache__"}


def files(*endings: str) -> list[Path]:
    found = (path for ending in endings for path in ROOT.rglob(f"*{ending}"))
    return sorted(path for path in found if not NOT_OURS & set(path.relative_to(ROOT).parts))


PAGES = files(".md")
CODE = files(".rs", ".py")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> list[tuple[int, str]]:
    """A page's lines with their numbers, without blocks of code."""
    lines, is_code = [], False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            lines.append((number, line))
    return lines


def anchors(page: Path) -> set[str]:
    titles = (line.lstrip("#").strip() for _, line in prose(page) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for number, line in prose(page):
        for target in LINK.findall(line):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            led_to = (page.parent / path).resolve() if path else page
            if not led_to.exists() or (anchor and anchor not in anchors(led_to)):
                dead.append(f"{number}: {target}")
    assert not dead, dead


PROTOCOL = (ROOT / "docs/protocol.md").read_text()
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
CODES = re.compile(r"\b(?:P\d{1,2}|C\d|L\d|R\d)\b")
# The invariants and conditional writes are rows of tables, whose first cell is the code.
DEFINED = set(re.findall(r"^\| (\w+) \|", PROTOCOL, re.MULTILINE))


def sections() -> set[str]:
    """The sections of the protocol (`4`) and the numbered rules and steps in them (`4.6`)."""
    found, section = set(), ""
    for line in PROTOCOL.splitlines():
        if title := re.match(r"## (\d+)\.", line):
            section = title[1]
            found.add(section)
        elif step := re.match(r"(\d+)\. ", line):
            found.add(f"{section}.{step[1]}")
    return found


FAULTS = {int(number) for number in re.findall(r"^\| (\d+) \|", (ROOT / "docs/faults.md").read_text(), re.MULTILINE)}


def comments(path: Path) -> list[tuple[int, str]]:
    marks = ("//", '"""', "#", "/*") if path.suffix == ".py" else ("//",)
    lines = enumerate(path.read_text().splitlines(), 1)
    found = ((number, line, [line.find(mark) for mark in marks if mark in line]) for number, line in lines)
    return [(number, line[min(places):]) for number, line, places in found if places]


def test_every_code_is_defined_in_the_protocol() -> None:
    # What stands in back quotes is a value, such as an id of a test's record.
    plain = [(page, number, re.sub(r"`[^`]*`", "", line)) for page in PAGES for number, line in prose(page)]
    plain += [(path, number, line) for path in CODE for number, line in comments(path)]
    undefined = [
        f"{name(path)}:{number}: {code}"
        for path, number, line in plain
        for code in CODES.findall(line)
        if code not in DEFINED
    ]
    assert not undefined, undefined


def test_every_section_and_fault_that_code_names_exists() -> None:
    missing, known = [], sections()
    for path in CODE:
        for number, line in comments(path):
            if "RFC" in line:
                continue
            for section in re.findall(r"\b[Ss]ections? (\d+(?:\.\d+)?)|\b[Rr]ules? (\d+\.\d+)", line):
                if not known.issuperset(filter(None, section)):
                    missing.append(f"{name(path)}:{number}: {section}")
            for fault in re.findall(r"\b[Ff]aults? (\d+)\b", line):
                if int(fault) not in FAULTS:
                    missing.append(f"{name(path)}:{number}: fault {fault}")
            # No page numbers cases: a test says in words which input it is about.
            cases = re.findall(r"\b[Cc]ases? ([A-Z]+\d\w*)", line)
            missing.extend(f"{name(path)}:{number}: case {case}" for case in cases)
    assert not missing, missing


def listed(path: str, begin: str) -> set[str]:
    """The names in the braces, or brackets, behind `begin`, comments left out."""
    _, _, rest = (ROOT / path).read_text().partition(begin)
    block = re.sub(r"//.*", "", rest[: re.search(r"^[}\]]", rest, re.MULTILINE).start()])
    return set(re.findall(r"\b[A-Z]\w+(?=,)", block))


@pytest.mark.parametrize(
    "path, begin",
    [
        ("shared/engine/src/rule.rs", "rules! {\n"),
        ("shared/testkit/src/memory/tables.rs", "enum Flaw {\n"),
        ("shared/testkit/src/sim/mutant.rs", "enum Slip {\n"),
    ],
)
def test_every_rule_that_tests_leave_out_is_defined_in_the_protocol(path: str, begin: str) -> None:
    rules = listed(path, begin)
    assert len(rules) > 2, "the names are read"
    missing = sorted(rule for rule in rules if f"\n| `{rule}` | " not in PROTOCOL)
    assert not missing, missing


def test_every_kind_of_failed_invocation_is_in_the_runbook() -> None:
    found = set(re.findall(r'Self::\w+ => "(\w+)"', (ROOT / "functions/runtime/src/failure.rs").read_text()))
    assert len(found) > 4, "the names are read"
    missing = sorted(name for name in found if f"`{name}`" not in RUNBOOK)
    assert not missing, missing


# "`a`, `b` and `c` in [text](path)" says that these functions are in that file, or in a file of that folder.
IN_FILE = re.compile(r"((?:`\w+`(?:, | and )?)+) in\s+\[[^\]]*\]\(([^)#]+)\)")


def test_every_function_that_the_architecture_names_is_in_its_file() -> None:
    page = ROOT / "ARCHITECTURE.md"
    found = IN_FILE.findall(page.read_text())
    named = [(function, path) for functions, path in found for function in re.findall(r"`(\w+)`", functions)]
    assert len(named) > 20, "the page names functions"

    def holds(path: str, function: str) -> bool:
        place = page.parent / path
        texts = [place] if place.is_file() else place.rglob("*.rs")
        return any(re.search(rf"\bfn {function}\b", text.read_text()) for text in texts)

    missing = [f"{function} in {path}" for function, path in named if not holds(path, function)]
    assert not missing, missing


# What a reader stumbles over, and what to write instead.
WORDS = {
    r"anew": "again",
    r"tells? of|told of": "reports, shows, names",
    r"(?:is|are|was|were) told": "is reported, is logged, gets a message",
    r"be it": "even if, whether",
    r"in vain": "without success",
    r"page for people|for people": "HTML page",
    r"not ours|of ours": "foreign, our",
    r"may rest": "is idle",
    r"left alone": "skipped, not touched",
    r"is no word": "says nothing about",
    r"heed(?:s|ed|ing)?": "respects, applies",
    r"bears?|bore": "has",
    r"where news begin": "lower bound",
    r"mend(?:s|ed|ing)?": "fixes, fixed",
    r"whoever": "the caller, the reader, the function that",
    r"obviously|of course": "(delete)",
}
AVOIDED = re.compile(
    r"\b(?:" + "|".join(f"(?P<w{n}>{pattern})" for n, pattern in enumerate(WORDS)) + r")\b", re.IGNORECASE
)


# What these print or send is read by people.
SPOKEN = ("cli/src/", "functions/", "infra/", "local/")


def test_words_that_are_hard_to_read_are_avoided() -> None:
    texts = [(page, number, line) for page in PAGES for number, line in prose(page)]
    texts += [(path, number, line) for path in CODE for number, line in comments(path)]
    # Elsewhere all that a person reads is in comments. Here it is in strings, too.
    spoken = [path for path in (*CODE, *files(".yaml")) if name(path).startswith(SPOKEN)]
    texts += [(path, number, line) for path in spoken for number, line in enumerate(path.read_text().splitlines(), 1)]
    instead = list(WORDS.values())
    found = []
    for path, number, line in texts:
        if path == Path(__file__):
            continue
        # Names of tests and values keep their words.
        for match in AVOIDED.finditer(re.sub(r"`[^`]*`", "", line)):
            which = int((match.lastgroup or "w0")[1:])
            found.append(f"{name(path)}:{number}: {match.group()!r}, write: {instead[which]}")
    assert not found, "\n" + "\n".join(found)


# In code, in quotes, after "next:" or at the beginning of a line.
COMMAND = re.compile(r"""(?:[`"]|next: |^\s*|\| )tidemark (?:--local |--stack \S+ )?([a-z][a-z-]+)(?: ([^\s`"]+))?""")
COMMANDS = set(re.findall(r"^## `tidemark ([a-z -]+)`", (ROOT / "docs/cli.md").read_text(), re.MULTILINE))
# Those that do nothing without one of their own commands.
GROUPS = set(re.findall(r"^\*\*Usage:\*\* `tidemark ([a-z-]+) <COMMAND>`", (ROOT / "docs/cli.md").read_text(), re.MULTILINE))
# What stands for any command of a group.
ANY_OF_A_GROUP = {"", "<COMMAND>", "{next}"}


def test_every_command_that_is_named_exists() -> None:
    assert len(COMMANDS) > 15, "the commands are read"
    read = [(path, number, line) for path in (*PAGES, *CODE) for number, line in enumerate(path.read_text().splitlines(), 1)]
    named = [(path, number, found) for path, number, line in read for found in COMMAND.findall(line)]
    assert len(named) > 40, "commands are found"
    wrong = [
        f"{name(path)}:{number}: tidemark {first} {second}".rstrip()
        for path, number, (first, second) in named
        if first not in COMMANDS or (first in GROUPS and second not in ANY_OF_A_GROUP and f"{first} {second}" not in COMMANDS)
    ]
    assert not wrong, wrong


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [(page, line) for page in PAGES for line in page.read_text().splitlines()]
    named = [(name(page), found) for page, line in lines for found in re.findall(r"(?:^|`)make ([a-z][a-z-]+)", line)]
    assert len(named) > 20, "targets are found"
    wrong = [each for each in named if each[1] not in targets]
    assert not wrong, wrong


LINE_CHARS_MAX = 130
README_LINES_MAX = 150
CRATE_README_LINES_MAX = 25


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_of_prose_fit_a_screen(page: Path) -> None:
    def may_be_long(line: str) -> bool:
        return line.lstrip().startswith("|") or "](" in line or "<" in line

    long = [number for number, line in prose(page) if len(line) > LINE_CHARS_MAX and not may_be_long(line)]
    assert not long, long


def test_readmes_are_short() -> None:
    crates = [path.parent for path in files("Cargo.toml") if path.parent != ROOT]
    lengths = {name(crate / "README.md"): len((crate / "README.md").read_text().splitlines()) for crate in crates}
    long = {path: lines for path, lines in lengths.items() if lines > CRATE_README_LINES_MAX}
    own = len((ROOT / "README.md").read_text().splitlines())
    assert not long and own <= README_LINES_MAX, (long, own)


def test_the_readme_names_costs_that_were_measured() -> None:
    costs = (ROOT / "README.md").read_text().partition("## What it costs")[2].partition("\n## ")[0]
    named = re.findall(r"\$\d+\.\d\d", costs)
    measured = set(re.findall(r"\$\d+\.\d\d", (ROOT / "docs/performance.md").read_text()))
    assert named and [cost for cost in named if cost not in measured] == [], "run `make bench` with --write"
