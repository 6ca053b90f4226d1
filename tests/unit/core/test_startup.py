"""The start of the login function: what it is built from, and when its first call began."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cognito_rules.errors import ChainError, ConfigurationError
from cognito_rules.startup import CallClock, live_login, login_function
from tests.log_lines import LogLines
from tools.build_trigger import catalogue_digest

READER = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def environment(aws_environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    aws_environment.setenv("PROFILES_TABLE", "profiles")
    aws_environment.setenv("SESSIONS_TABLE", "sessions")
    aws_environment.setenv("RULE_FUNCTION_PREFIX", "stack-rule-")
    aws_environment.delenv("AWS_ROLE_TABLE", raising=False)
    aws_environment.delenv("PRE_TOKEN_VERSION", raising=False)
    aws_environment.setenv("CHAIN_APPLICATION", "stack")
    return aws_environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a login function with an empty chain and one pure rule."""
    (tmp_path / "chain.toml").write_text("")
    rule = tmp_path / "functions" / "require_group"
    rule.mkdir(parents=True)
    for name in ("app.py", "rule.toml"):
        (rule / name).write_text((Path("functions/require_group") / name).read_text())
    return tmp_path


# What it is built from ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "names"),
    [
        pytest.param("", [], id="an empty chain imports no rule"),
        pytest.param(
            '[[rules]]\nrule = "require_group"\nwhen = {applications = ["*"]}\n'
            'configuration = {groups = ["staff"]}\n',
            ["functions.require_group.app"],
            id="a chain imports its rules",
        ),
    ],
)
def test_only_the_rules_of_the_chain_are_imported(
    environment: pytest.MonkeyPatch, folder: Path, document: str, names: list[str]
) -> None:
    imported = f"""
import sys
from pathlib import Path
from cognito_rules.startup import login_function
sys.path.insert(0, {str(folder)!r})
login_function(Path({str(folder)!r}))
print([name for name in sys.modules if name.endswith(".app")])
"""
    (folder / "chain.toml").write_text(document)

    found = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == str(names)


@pytest.mark.parametrize("name", ["PROFILES_TABLE", "SESSIONS_TABLE", "RULE_FUNCTION_PREFIX"])
def test_it_does_not_start_without(
    environment: pytest.MonkeyPatch, folder: Path, name: str
) -> None:
    environment.delenv(name)

    with pytest.raises(KeyError, match=name):
        login_function(folder)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("[[rules]", id="no TOML"),
        pytest.param('[[rules]]\nrule = "nobody_wrote_this"\n', id="an unknown rule"),
        pytest.param(
            '[[rules]]\nrule = "disable_flagged_users"\nplacement = "inline"\n'
            'when = {applications = ["*"]}\n',
            id="an inline rule that is not packaged",
        ),
    ],
)
def test_it_does_not_start_with_a_chain_that_is_refused(
    environment: pytest.MonkeyPatch, folder: Path, document: str
) -> None:
    (folder / "chain.toml").write_text(document)

    with pytest.raises(ChainError):
        login_function(folder)


def test_it_does_not_start_beside_a_layer_of_another_build(
    environment: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "catalogue.sha256").write_text("0" * 64 + "\n")

    with pytest.raises(ConfigurationError, match="deploy both together, with `sam build"):
        login_function(folder)


def test_it_starts_beside_the_layer_that_it_was_built_with(
    environment: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "catalogue.sha256").write_text(catalogue_digest(Path()) + "\n")

    assert login_function(folder).chain.entries == ()


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('{"reader": 7}', id="a number"),
        pytest.param('{"reader": "reader"}', id="a name instead of an ARN"),
        pytest.param('{"reader": "arn:aws:iam::1:role/x"}', id="an ARN of no account"),
        pytest.param(json.dumps({"a:administrator": READER}), id="a key that holds another"),
        pytest.param(json.dumps({"": READER}), id="an empty key"),
        pytest.param(json.dumps({"none ": READER}), id="a key with a blank"),
        pytest.param(json.dumps({"a": READER, "b": READER}), id="two keys of one role"),
    ],
)
def test_it_does_not_start_with_a_role_table_that_is_none(
    environment: pytest.MonkeyPatch, folder: Path, table: str
) -> None:
    environment.setenv("AWS_ROLE_TABLE", table)

    with pytest.raises(ConfigurationError, match="AWS_ROLE_TABLE"):
        login_function(folder)


@pytest.mark.parametrize("table", ["", "{}"])
def test_it_starts_without_roles(environment: pytest.MonkeyPatch, folder: Path, table: str) -> None:
    environment.setenv("AWS_ROLE_TABLE", table)

    assert login_function(folder).roles == {}


def test_it_is_built_from_its_folder_and_its_environment(
    environment: pytest.MonkeyPatch, folder: Path
) -> None:
    environment.setenv("AWS_ROLE_TABLE", json.dumps({"read-only": READER}))
    (folder / "chain.toml").write_text(
        '[[rules]]\nrule = "require_group"\nplacement = "inline"\n'
        'when = {applications = ["*"]}\nconfiguration = {groups = ["staff"]}\n'
    )

    function = login_function(folder)

    assert [entry.id for entry in function.chain.entries] == ["require_group"]
    assert list(function.inline) == ["require_group"]
    assert function.roles == {"read-only": READER}


def test_a_lite_pool_refuses_at_the_start_what_it_could_not_do(
    environment: pytest.MonkeyPatch, folder: Path
) -> None:
    environment.setenv("PRE_TOKEN_VERSION", "V1_0")
    (folder / "chain.toml").write_text(
        '[[rules]]\nrule = "add_email_to_access_token"\n'
        'configuration = {namespace = "https://example.com/"}\n'
    )

    with pytest.raises(ChainError, match="Lite"):
        login_function(folder)


def test_a_packaged_chain_without_a_required_entry_is_refused(
    environment: pytest.MonkeyPatch, folder: Path
) -> None:
    environment.setenv("REQUIRED_ENTRIES", "door, audit")

    with pytest.raises(ChainError, match="the entry audit is required"):
        login_function(folder)


def test_a_refused_packaged_chain_ends_the_deployment(
    environment: pytest.MonkeyPatch, folder: Path
) -> None:
    environment.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    (folder / "chain.toml").write_text("[[rules]")

    with pytest.raises(ChainError):
        live_login(folder, keeps=True)


def test_where_a_login_waits_a_refused_packaged_chain_is_logged(
    environment: pytest.MonkeyPatch, folder: Path, lines: LogLines
) -> None:
    environment.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    (folder / "chain.toml").write_text("[[rules]")

    live = live_login(folder, keeps=True)

    assert live.current is None
    assert [record["message"] for record in lines.records] == ["chain refused"]


def test_it_begins_with_the_packaged_chain(environment: pytest.MonkeyPatch, folder: Path) -> None:
    live = live_login(folder, keeps=False)

    assert live.current is not None
    assert live.current.chain_source == "packaged"


# When a call began ----------------------------------------------------------------------------


def started(clock: CallClock) -> float:
    """Return how many seconds ago the call began."""
    return time.monotonic() - clock.started()


def test_a_cold_call_began_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    clock = CallClock()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - _process_start()

    assert started(clock) == pytest.approx(age, abs=0.2)


def test_the_next_call_begins_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    clock = CallClock()
    clock.started()

    assert started(clock) < 0.1


@pytest.mark.parametrize("how", ["provisioned-concurrency", "snap-start", None])
def test_an_environment_that_was_started_before_begins_with_its_call(
    monkeypatch: pytest.MonkeyPatch, how: str | None
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
    if how is not None:
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", how)

    assert started(CallClock()) < 0.1


def test_an_environment_that_lambda_started_ahead_of_a_call_begins_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    clock = CallClock()
    time.sleep(0.6)

    assert started(clock) < 0.1


def _process_start() -> float:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / 100
