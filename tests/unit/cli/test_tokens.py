"""``cognito-rules tokens``: what a chain makes of recorded token events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app

PERSON = "TokenGeneration_Authentication_V3"
MACHINE = "TokenGeneration_ClientCredentials_V3"
CLAIMS = """
[[rules]]
rule = "customize_token_claims_and_scopes"
when = { applications = ["*"] }
runs_on_client_credentials = true
[rules.configuration]
namespace = "https://example.com/"
id_token_claims = { chain = "decided" }
access_token_claims = { chain = "decided" }
"""
CLAIM = "https://example.com/chain"


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    return tmp_path / "chain.toml"


def run(chain: Path, document: str, *arguments: str) -> Result:
    chain.write_text(document)
    command = ["tokens", *arguments, "--chain", str(chain)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200"})


def shown(chain: Path, document: str, *arguments: str) -> dict[str, Any]:
    result = run(chain, document, *arguments, "--json")
    assert result.exit_code == 0, result.output
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def test_both_tokens_are_compared(chain: Path) -> None:
    result = run(chain, CLAIMS, PERSON)

    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()[1:]]
    assert lines == [["id", CLAIM, "none", "decided"], ["access", CLAIM, "none", "decided"]]


def test_a_token_is_made_of_the_event_before_the_chain_changes_it(chain: Path) -> None:
    said = shown(chain, CLAIMS, PERSON)

    before, after = said["id_token"]["before"], said["id_token"]["after"]
    assert before["email"] == "jane@example.com"
    assert before["email_verified"] is True
    assert before["cognito:groups"] == ["staff"]
    assert before["cognito:preferred_role"].endswith("role/staff")
    assert after == before | {CLAIM: "decided"}
    assert said["access_token"]["before"]["scope"] == "aws.cognito.signin.user.admin"
    assert said["entries"] == ["customize_token_claims_and_scopes"]


def test_a_machine_has_no_id_token(chain: Path) -> None:
    said = shown(chain, CLAIMS, MACHINE)

    assert said["id_token"] == {"before": None, "after": None}
    assert said["access_token"]["after"][CLAIM] == "decided"


def test_groups_and_scopes_are_compared_too(chain: Path) -> None:
    document = """
[[rules]]
rule = "remove_claims"
when = { applications = ["*"] }
configuration = { claims = ["cognito:groups", "name"], confirm_groups = true }
"""
    said = shown(chain, document, PERSON)

    gone = said["id_token"]["before"].keys() - said["id_token"]["after"].keys()
    assert gone == {"cognito:groups", "cognito:roles", "cognito:preferred_role", "name"}


def test_version_1_changes_no_access_token(chain: Path) -> None:
    said = shown(chain, CLAIMS, "TokenGeneration_Authentication_V1")

    assert said["id_token"]["after"][CLAIM] == "decided"
    assert said["access_token"]["after"] == said["access_token"]["before"]


def test_a_refusal_names_the_entry(chain: Path) -> None:
    document = """
[[rules]]
rule = "require_group"
id = "finance-only"
when = { applications = ["*"] }
configuration = { groups = ["finance"] }
"""
    told, result = run(chain, document, PERSON, "--json"), run(chain, document, PERSON)

    assert result.exit_code == told.exit_code == 1
    assert "(entry finance-only, code group_required)" in result.stdout
    assert json.loads(told.stdout)["code"] == "group_required"


def test_what_does_not_run_here_is_said(chain: Path) -> None:
    document = """
[[rules]]
rule = "map_aws_role"
when = { applications = ["*"] }
[[rules]]
rule = "add_email_to_access_token"
when = { applications = ["*"] }
configuration = { namespace = "https://example.com/" }
[[rules]]
rule = "weekday_access"
when = { applications = ["*"] }
mode = "off"
[[rules]]
rule = "record_events_splunk"
"""
    result = run(chain, document, PERSON)
    said = shown(chain, document, PERSON)

    assert "The chain changes nothing" in result.stdout
    assert "not run map_aws_role: it needs settings of the template" in result.stderr
    assert "not run add_email_to_access_token: it needs EMAIL_HASH_KEY" in result.stderr
    assert said["not_run"].keys() == {"map_aws_role", "add_email_to_access_token"}
    assert said["entries"] == []


def test_rules_see_the_given_profile(chain: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"app_metadata": {"deleted": True}}))
    document = '[[rules]]\nrule = "disable_flagged_users"\nwhen = { applications = ["*"] }\n'

    without = run(chain, document, PERSON)
    flagged = run(chain, document, PERSON, "--profile", str(profile))

    assert without.exit_code == 0
    assert flagged.exit_code == 1
    assert "entry disable_flagged_users" in flagged.stdout


def test_the_packaged_chain_is_the_default() -> None:
    result = CliRunner().invoke(app, ["tokens", PERSON, "--json"])

    assert json.loads(result.stdout)["not_run"].keys() == {"map_aws_role"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["Absent"], "There is no event Absent: give a file, or one of", id="absent"),
        pytest.param(["README.md"], "is no JSON", id="no JSON"),
        pytest.param(["PostAuthentication_Authentication"], "no event of pre token", id="other"),
        pytest.param(["events/require_group.json"], "triggerSource is None", id="no trigger"),
        pytest.param([PERSON, "--profile", "absent.json"], "absent.json is no JSON", id="profile"),
    ],
)
def test_wrong_input_is_one_line(chain: Path, arguments: list[str], said: str) -> None:
    result = run(chain, "", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_chain_that_is_refused_is_said(chain: Path) -> None:
    result = run(chain, '[[rules]]\nrule = "absent"', PERSON)

    assert result.exit_code == 2
    assert "there is no rule 'absent'" in result.stderr


def test_nothing_of_the_log_is_printed(chain: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(chain, CLAIMS, PERSON)

    assert "login decided" not in "".join(capfd.readouterr())
