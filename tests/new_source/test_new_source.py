"""`make new-source`: every place is found, every name is filled in, and a source whose answers are read keeps the contract.

`answer.rs` is what is left to write of the fifth source that this folder is about: a vendor as the fake of
`shared/sources/new-source` makes it.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from local import background, new_source
from local.new_source import NewSource, Refused
from samcli.yamlhelper import yaml_parse


def prepared(title, root=ROOT):
    source = NewSource(root, title)
    source.prepare()
    return source, {str(path.relative_to(root)): text for path, text in source.edits.items()}


@pytest.mark.parametrize(
    ("title", "prefix", "name"),
    [("Acme", "Acme", "acme"), ("Service Wizard", "ServiceWizard", "servicewizard"), ("FSM Two", "FsmTwo", "fsmtwo")],
)
def test_a_source_is_known_in_eight_places_outside_its_own(title, prefix, name):
    source, texts = prepared(title)
    assert (source.prefix, source.name) == (prefix, name)
    own = {place.format(name=name) for place in new_source.FILES.values()}
    assert own < set(texts)
    assert len(set(texts) - own) == 8
    template = yaml_parse(texts["infra/template.yaml"])
    assert template["Resources"][prefix]["Properties"]["Parameters"]["Title"] == title
    known = json.loads(texts["shared/sources/sources.json"])[name]
    assert (known["title"], known["prefix"]) == (title, prefix)


def test_no_name_of_the_model_is_left():
    _, texts = prepared("Service Wizard")
    own = {place.format(name="servicewizard") for place in new_source.FILES.values()}
    assert not [place for place in own if "acme" in texts[place].lower()]


@pytest.mark.parametrize("title", ["Fieldly", "", "9lives", "A/B", "x" * 40])
def test_what_is_no_name_or_is_there_already_is_refused(title):
    with pytest.raises(Refused):
        prepared(title)


@pytest.fixture
def copy():
    """A copy of the workspace, always at the same place, so that cargo builds it over what it built of the last one."""
    folder = ROOT / ".local" / "new_source"
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    yield folder
    shutil.rmtree(folder)


def test_a_source_whose_answers_are_read_keeps_the_contract(copy):
    """The whole way: the source, what is left to write of it, and the suite."""
    source, _ = prepared("Acme", copy)
    source.write()

    def contract(*filters):
        # The workspace's own folder of what is built: only what has another path now is built again.
        environment = background.build_environment() | {"CARGO_TARGET_DIR": str(background.target_directory().parent)}
        command = ["cargo", "test", "--locked", "--package", "tidemark-sources", "--test", "contract", "--", *filters]
        ended = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout + ended.stderr

    code, said = contract("acme", "unwritten")
    assert code != 0 and "acme: page is not written yet, see docs/add-a-source.md, section 3" in said, said
    assert "shared/sources/src/acme/answer.rs:" in said and "shared/fakes/src/acme/mod.rs:" in said, said
    shutil.copy(Path(__file__).with_name("answer.rs"), copy / "shared/sources/src/acme/answer.rs")
    code, said = contract("acme")
    assert code == 0 and " 40 passed; 0 failed" in said, said
