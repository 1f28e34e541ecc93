"""The binaries run on Lambda: they need no newer C library than Amazon Linux 2023 has."""

import re
import subprocess
from pathlib import Path

import pytest
from template import ROOT, SOURCES, functions

from local.cloud import Cloud

AMAZON_LINUX_2023 = (2, 34)


def bootstrap(built: Path, function: str) -> Path:
    """Where the program of a function is: those of a source lie in the folder of its nested stack."""
    source = next((source for source in SOURCES if function.startswith(source)), "")
    return built / source / function.removeprefix(source) / "bootstrap"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    cloud = Cloud(tmp_path_factory.mktemp("artifact"))
    cloud.build()
    return cloud.directory / "build"


def test_sam_build_lays_out_one_bootstrap_a_function(built):
    assert sorted(built.rglob("bootstrap")) == sorted(bootstrap(built, function) for function in functions())


def test_what_make_deploy_builds_is_auditable(tmp_path):
    # The real `cargo` behind the one that `sam build` finds: it must get the same call, and be found by what it calls.
    real = tmp_path / "real" / "cargo"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\necho "$@"\ncommand -v cargo\n')
    real.chmod(0o755)
    ours = ROOT / "infra" / "auditable"
    environment = {"PATH": f"{ours}:{real.parent}:/usr/bin:/bin"}
    called = subprocess.run(
        [ours / "cargo", "lambda", "build", "--bin", "poller"], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert called.splitlines() == ["auditable lambda build --bin poller", str(real)]


@pytest.mark.parametrize("function", functions())
def test_a_bootstrap_needs_no_newer_glibc(built, function):
    shown = subprocess.run(
        ["readelf", "--version-info", bootstrap(built, function)], check=True, capture_output=True, text=True
    ).stdout
    needed = {tuple(map(int, each.split("."))) for each in re.findall(r"GLIBC_(\d+\.\d+)", shown)}
    assert needed, f"no symbol versions in {ROOT}: is this a dynamic binary?"
    assert max(needed) <= AMAZON_LINUX_2023
