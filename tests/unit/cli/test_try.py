"""``cognito-rules try``: a rule run here, and what it says about wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.rules import rule_names
from cognito_rules.manifest import Manifest

RULES = rule_names()
CALLS_OUT = [name for name in RULES if Manifest.read(Path(f"functions/{name}/rule.toml")).external]


@pytest.fixture(autouse=True)
def settings_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    # The command sets it for its own process, which here is that of all tests.
    monkeypatch.setenv("RULE_SETTINGS", "{}")


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["try", *arguments])


@pytest.mark.parametrize("name", [name for name in RULES if name not in CALLS_OUT])
def test_every_rule_answers_its_event_as_expected(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = command(name)

    assert result.exit_code == 0, result.output
    assert Manifest.read(Path(f"functions/{name}/rule.toml")).summary[:20] in result.output


def test_the_response_can_be_had_as_json() -> None:
    result = command("require_group", "--json")

    assert json.loads(result.output)["effects"][0]["code"] == "group_required"


def test_a_setting_can_be_changed() -> None:
    result = command("require_group", "--set", 'groups=["sales"]')

    assert result.exit_code == 0
    assert "No effects" in result.output


def test_a_setting_of_the_template_can_be_changed() -> None:
    result = command("map_aws_role", "--set", "mappings=[]")

    assert result.exit_code == 0
    assert '"role_arns": []' in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["no_such_rule"], 2, "There is no rule 'no_such_rule'", id="unknown rule"),
        pytest.param(["require_grup"], 2, "Did you mean require_group?", id="a typing mistake"),
        pytest.param(
            ["require_group", "--event", "absent.json"],
            2,
            "absent.json: No such file",
            id="no file",
        ),
        pytest.param(["require_group", "--event", "README.md"], 2, "is no JSON", id="no JSON"),
        pytest.param(["require_group", "--set", "groups"], 2, "NAME=VALUE", id="no value"),
        pytest.param(
            ["require_group", "--set", "groups=3"], 1, "groups must be array", id="a wrong type"
        ),
        pytest.param(
            ["require_group", "--set", "grups=[]"],
            1,
            "grups is no setting: there are groups, match",
            id="an unknown setting",
        ),
        pytest.param(
            ["record_events_splunk"], 1, "endpoint is missing", id="a missing template setting"
        ),
        pytest.param(
            ["record_events_splunk", "--set", "endpoint=https://splunk.example:8088"],
            1,
            "--secret SPLUNK_HEC_TOKEN=VALUE",
            id="a missing secret",
        ),
    ],
)
def test_wrong_input_is_one_clear_message(arguments: list[str], code: int, said: str) -> None:
    result = command(*arguments)

    assert result.exit_code == code
    assert said in " ".join(result.output.split())


def test_an_event_that_is_a_list(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text("[]")

    result = command("require_group", "--event", str(event))

    assert result.exit_code == 2
    assert "it must be a JSON object" in " ".join(result.output.split())


@pytest.mark.parametrize("key", ["configuration", "template"])
def test_an_event_whose_settings_are_a_list(tmp_path: Path, key: str) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"version": 1, "login": {}, key: []}))

    result = command("require_group", "--event", str(event), "--set", 'groups=["a"]')

    assert result.exit_code == 2
    assert f"{key} must be a JSON object" in " ".join(result.output.split())


def test_other_effects_than_expected_are_shown_as_a_difference(tmp_path: Path) -> None:
    event = json.loads(Path("events/require_group.json").read_text())
    event["expect"][0]["code"] = "another"
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event))

    result = command("require_group", "--event", str(path))

    assert result.exit_code == 1
    assert '-    "code": "another"' in result.output
    assert '+    "code": "group_required"' in result.output
