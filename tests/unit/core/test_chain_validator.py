"""The check that AppConfig calls: a document is refused by raising."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cognito_rules.chain_terms import ChainTerms, PackagedRules, names
from cognito_rules.chain_validator import validate
from cognito_rules.errors import ChainError
from cognito_rules.manifest import catalogue
from tests.log_lines import LogLines

EVERYBODY = {"applications": ["*"]}
GOOD = {"rules": [{"rule": "require_verified_email", "id": "door", "when": EVERYBODY}]}


def terms(**changes: Any) -> ChainTerms:
    given: dict[str, Any] = {
        "catalogue": catalogue(),
        "rules": PackagedRules(Path()),
        "token_version": "V3_0",
        "privileged": frozenset(),
        "required": frozenset(),
    }
    return ChainTerms(**given | changes)


def event(document: Any) -> dict[str, Any]:
    """Return an event of AppConfig for a document."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return {
        "applicationId": "abc1234",
        "configurationProfileId": "def5678",
        "configurationVersion": "7",
        "content": base64.b64encode(text).decode(),
        "uri": "hosted",
    }


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        pytest.param({"rules": [{"rule": "nobody"}]}, "no rule 'nobody'", id="an unknown rule"),
        pytest.param(
            {"rules": [{"rule": "map_aws_role", "when": EVERYBODY}]},
            "PrivilegedRules",
            id="a privilege that the deployment does not give",
        ),
        pytest.param(
            {
                "rules": [
                    {
                        "rule": "weekday_access",
                        "when": EVERYBODY,
                        "configuration": {"timezone": "Mars/Olympus"},
                    }
                ]
            },
            "Mars/Olympus",
            id="a setting that the rule itself refuses",
        ),
        pytest.param(b"\xff", "no text", id="no text"),
        pytest.param(b"[[rules]]", "no JSON", id="no JSON"),
        pytest.param(b"", "no JSON", id="nothing"),
    ],
)
def test_a_document_is_refused_for(document: Any, problem: str) -> None:
    with pytest.raises(ChainError, match=problem):
        validate(event(document), terms())


def test_a_document_without_a_required_entry_is_refused() -> None:
    with pytest.raises(ChainError, match="the entry audit is required"):
        validate(event(GOOD), terms(required=names("door,audit")))


@pytest.mark.parametrize("content", [None, 7, "not base64!"])
def test_an_event_without_a_document_is_refused(content: Any) -> None:
    with pytest.raises(ChainError):
        validate({**event({}), "content": content}, terms())


def test_a_good_document_passes(lines: LogLines) -> None:
    validate(event(GOOD), terms(required=names("door")))

    [line] = lines.records
    assert (line["message"], line["configuration_version"]) == ("chain accepted", "7")


def test_a_refusal_is_logged_with_its_reasons(lines: LogLines) -> None:
    with pytest.raises(ChainError):
        validate(event({"rules": [{"rule": "nobody"}]}), terms())

    assert lines.records[0]["problems"] == ["entry nobody: there is no rule 'nobody'"]


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_an_empty_list_of_names_is_empty(text: str) -> None:
    assert names(text) == frozenset()
