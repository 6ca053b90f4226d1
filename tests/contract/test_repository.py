"""What holds for the files of the repository: locked, portable, without secrets."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import cognito_rules
from tests.contract.stack_template import PROJECT, source

LOCKS = {
    "requirements/bootstrap.in": "requirements/bootstrap.txt",
    "requirements/dev.in": "requirements/dev.txt",
    "requirements/emulator.in": "requirements/emulator.txt",
    "requirements/layer-core.in": "layers/core/requirements.txt",
    "requirements/layer-mongodb.in": "layers/mongodb/requirements.txt",
    "requirements/layer-net.in": "layers/net/requirements.txt",
    "requirements/layer-sqlserver.in": "layers/sqlserver/requirements.txt",
    "requirements/layer-xml.in": "layers/xml/requirements.txt",
}
# Put together from parts, or this file would hold what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("debian", "org"),
    )
]
# A checkout, a home or a scratch folder of somebody's machine, not a part of a longer path or URL.
MACHINE_PATH = re.compile(r"(?<![\w./~$}-])/(?:home|root|Users|work)/\w|(?<![\w./])/tmp/\w")
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)


@cache
def tracked() -> dict[str, str]:
    """Return name -> text of every file that is, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    texts: dict[str, str] = {}
    for name in filter(None, listed.stdout.split("\0")):
        try:
            texts[name] = (PROJECT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture, or deleted but not yet committed
    return texts


def samconfig() -> dict[str, Any]:
    return tomllib.loads((PROJECT / "samconfig.toml").read_text())


def pinned(lock: str) -> dict[str, str]:
    return dict(REQUIREMENT.findall((PROJECT / lock).read_text()))


# -- locked ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS.values())
def test_every_locked_requirement_has_a_version_and_hashes(lock: str) -> None:
    # A requirement goes on over the lines that end in a backslash.
    text = (PROJECT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]

    assert lines
    assert [x for x in lines if not REQUIREMENT.match(x) or "--hash=sha256:" not in x] == []


@pytest.mark.parametrize("lock", LOCKS.values())
def test_a_lock_names_no_index(lock: str) -> None:
    text = (PROJECT / lock).read_text()

    # The only option in it is --hash: no --index-url, no --find-links.
    assert re.findall(r"://|--(?!hash=)\S+|^\s*-\w", text, re.MULTILINE) == []


@pytest.mark.parametrize(("asked", "lock"), LOCKS.items())
def test_a_lock_has_what_its_source_asks_for(asked: str, lock: str) -> None:
    lines = (PROJECT / asked).read_text().splitlines()
    names = [re.split(r"[\[<>=~! ]", line)[0] for line in lines if re.match(r"[A-Za-z]", line)]

    locked = {name.lower().replace("_", "-") for name in pinned(lock)}
    assert names
    assert [name for name in names if name.lower().replace("_", "-") not in locked] == []


@pytest.mark.parametrize("layer", ["core", "net"])
def test_tests_run_with_the_versions_of_the_layers(layer: str) -> None:
    here = pinned("requirements/dev.txt")

    assert {n: here.get(n) for n in pinned(f"layers/{layer}/requirements.txt")} == pinned(
        f"layers/{layer}/requirements.txt"
    )


# -- portable ----------------------------------------------------------------------------------


def test_the_list_of_files_is_not_empty() -> None:
    assert {"template.yaml", "pyproject.toml", "Makefile"} <= set(tracked())


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_a_package_registry(host: str) -> None:
    assert [name for name, text in tracked().items() if host in text] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{name}: {line.strip()[:80]}"
        for name, text in tracked().items()
        if name != "tests/contract/test_repository.py"
        for line in text.splitlines()
        if MACHINE_PATH.search(line)
    ]

    assert found == []


# -- without secrets ---------------------------------------------------------------------------


def test_samconfig_sets_parameters_that_exist() -> None:
    names = {
        override.partition("=")[0]
        for environment in samconfig().values()
        if isinstance(environment, dict)
        for command in environment.values()
        for override in command["parameters"].get("parameter_overrides", [])
    }

    assert names
    assert names <= set(source()["Parameters"])


def test_no_secret_is_a_template_parameter() -> None:
    parameters = source()["Parameters"]

    assert [name for name, p in parameters.items() if p.get("NoEcho")] == []
    assert [n for n in parameters if re.search("secret|token|password|credential", n, re.I)] == []


def test_samconfig_knows_no_account_bucket_or_profile() -> None:
    text = (PROJECT / "samconfig.toml").read_text()
    keys = {
        key
        for environment in samconfig().values()
        if isinstance(environment, dict)
        for command in environment.values()
        for key in command["parameters"]
    }

    assert not keys & {"profile", "s3_bucket", "role_arn", "image_repository"}
    assert re.findall(r"\b\d{12}\b|\barn:", text) == []


def test_a_strangers_first_deployment_asks_before_it_changes_anything() -> None:
    deploy = samconfig()["default"]["deploy"]["parameters"]

    assert deploy["confirm_changeset"] is True
    assert "region" not in samconfig()["default"]["global"]["parameters"]
    assert "parameter_overrides" not in deploy


def test_only_the_local_configuration_leaves_resources_out() -> None:
    asking = [name for name, table in samconfig().items() if "LocalEmulator=true" in str(table)]

    assert asking == ["local"]


def test_secrets_and_state_are_not_tracked() -> None:
    private = re.compile(r"(^|/)(\.env(\..*)?|.*\.pem|.*\.key|id_rsa.*)$|^\.(local|aws-sam|venv)")

    assert [Path(name) for name in tracked() if private.search(name)] == []


def test_every_public_name_is_explained() -> None:
    text = (PROJECT / "docs/protocol.md").read_text(encoding="utf-8")

    assert [name for name in cognito_rules.__all__ if f"`{name}`" not in text] == []
