"""What a rule's answer means: everything that is not a legal answer is a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cognito_rules.chain import Entry
from cognito_rules.errors import InvalidEffectError
from cognito_rules.protocol import Effect
from cognito_rules.runner import MAX_EFFECTS, read_answer
from tests.unit.core.chains import a_chain, a_manifest, answer, denial

EVERY_WRITE = [
    "deny",
    "id_token.claims",
    "access_token.claims",
    "access_token.scopes",
    "user.user_metadata",
    "aws.role",
    "aws.tags",
]
METADATA = {"effect": "set_user_metadata", "key": "color", "value": "blue"}
CLAIM = {"effect": "set_claim", "token": "id", "name": "https://x/y", "value": 1}


def an_entry(**declared: Any) -> Entry:
    manifest = a_manifest("subject", **({"writes": EVERY_WRITE} | declared))
    return a_chain(manifest).entries[0]


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


JUNK = [
    pytest.param(None, "invalid_answer", id="nothing"),
    pytest.param("ok", "invalid_answer", id="a text"),
    pytest.param([], "invalid_answer", id="a list"),
    pytest.param({}, "invalid_answer", id="no version"),
    pytest.param({"version": 2, "effects": []}, "invalid_answer", id="another version"),
    pytest.param({"version": "1", "effects": []}, "invalid_answer", id="the version as text"),
    pytest.param({"version": 1}, "invalid_answer", id="no effects"),
    pytest.param({"version": 1, "effects": {}}, "invalid_answer", id="effects that are no list"),
    pytest.param({"version": 1, "effects": None}, "invalid_answer", id="null effects"),
    pytest.param({"version": 1, "fault": "broken"}, "invalid_answer", id="a fault that is a text"),
    pytest.param({"version": 1, "fault": {}}, "invalid_answer", id="a fault without a code"),
    pytest.param({"version": 1, "fault": {"code": 7}}, "invalid_answer", id="a number as code"),
    pytest.param(
        {"version": 1, "fault": {"code": "jane@example.com"}}, "invalid_answer", id="a mail as code"
    ),
    pytest.param(
        {"version": 1, "fault": {"code": "x" * 65}}, "invalid_answer", id="a code without end"
    ),
    pytest.param(
        {"version": 1, "fault": {"code": "skipped", "message": "jane@example.com"}},
        "invalid_answer",
        id="a code that only the chain uses",
    ),
    pytest.param(
        {"version": 1, "fault": {"code": "upstream_error", "message": deep(100_000)}},
        "invalid_answer",
        id="a message without a bottom",
    ),
    pytest.param(answer(["deny"]), "unknown_effect", id="an effect that is no object"),  # type: ignore[arg-type]
    pytest.param(answer({"effect": "grant"}), "unknown_effect", id="an unknown effect"),
    pytest.param(answer({"effect": ["deny"]}), "unknown_effect", id="a list as effect"),
    pytest.param(answer({"effect": deep(100_000)}), "invalid_answer", id="an endless effect"),
    pytest.param(answer(*[CLAIM] * 1_001), "invalid_answer", id="more effects than anyone needs"),
    pytest.param(
        answer({"effect": "set_groups", "groups": ["admin"]}),
        "undeclared_effect",
        id="an undeclared effect",
    ),
    pytest.param(
        answer({"effect": "set_app_metadata", "key": "deleted", "value": False}),
        "undeclared_effect",
        id="a key that is not declared",
    ),
    pytest.param(answer({**CLAIM, "name": "sub"}), "protected_claim", id="a protected claim"),
    pytest.param(
        answer({**CLAIM, "name": "cognito:groups"}), "protected_claim", id="a claim of Cognito's"
    ),
    pytest.param(
        answer({**CLAIM, "name": "aws_tag_granted"}), "protected_claim", id="a claim of a tag"
    ),
    pytest.param(
        answer({"effect": "remove_claim", "token": "id", "name": "aws_tag_granted"}),
        "protected_claim",
        id="the removal of a tag",
    ),
    pytest.param(
        answer({"effect": "set_session_tags", "tags": {"Granted": ":administrator:"}}),
        "protected_claim",
        id="the tag that binds roles",
    ),
    pytest.param(
        answer({"effect": "set_session_tags", "tags": {"GRANTED": ":administrator:"}}),
        "protected_claim",
        id="the same in capitals",
    ),
    pytest.param(
        answer({"effect": "add_scope", "scope": "read orders"}), "invalid_scope", id="a blank"
    ),
    pytest.param(answer({**CLAIM, "extra": 1}), "invalid_effect", id="an unknown field"),
    pytest.param(answer({**METADATA, "value": deep(50)}), "invalid_effect", id="a deep value"),
    pytest.param(
        answer({**METADATA, "value": {"a": "\ud800"}}), "invalid_effect", id="half a character"
    ),
    pytest.param(answer({**CLAIM, "name": "\ud800"}), "invalid_effect", id="and as a claim's name"),
    pytest.param(
        answer({**METADATA, "value": 10**40}), "invalid_effect", id="a number of 41 digits"
    ),
    pytest.param(
        answer({**METADATA, "value": {"a": [1e-200]}}), "invalid_effect", id="a tiny number"
    ),
    pytest.param(
        answer({"effect": "set_aws_role", "role_arns": ["arn:aws:iam::123456789012:user/root"]}),
        "invalid_effect",
        id="a role that is none",
    ),
]


@pytest.mark.parametrize(("response", "code"), JUNK)
def test_an_illegal_answer_is_a_fault(response: Any, code: str) -> None:
    given = read_answer(an_entry(on_error="continue"), response)

    assert given.fault == code
    assert given.effects == ()


@pytest.mark.parametrize(("response", "code"), JUNK)
def test_an_illegal_answer_of_a_guard_refuses(response: Any, code: str) -> None:
    given = read_answer(an_entry(on_error="deny"), response)

    assert given.fault == code
    assert [effect["effect"] for effect in given.effects] == ["deny"]
    assert given.effects[0]["public_code"] == "try_again"


@pytest.mark.parametrize(
    ("code", "deny_code", "public_code"),
    [
        pytest.param("configuration_error", "rule_misconfigured", "access_denied", id="settings"),
        pytest.param("context_missing", "context_missing", "try_again", id="a missing field"),
        pytest.param("timeout", "rule_failed", "try_again", id="lateness"),
        pytest.param("upstream_error", "rule_failed", "try_again", id="anything else"),
    ],
)
def test_a_faulty_guard_refuses_with(code: str, deny_code: str, public_code: str) -> None:
    fault = {"version": 1, "fault": {"code": code, "message": "x"}}

    [effect] = read_answer(an_entry(on_error="deny"), fault).effects

    assert (effect["code"], effect["public_code"]) == (deny_code, public_code)
    assert "x" not in effect["reason"].split()


def test_one_illegal_effect_takes_the_others_with_it() -> None:
    given = read_answer(an_entry(), answer(CLAIM, {"effect": "grant"}, METADATA))

    assert given.effects == ()


@pytest.mark.parametrize(
    ("effects", "fault", "code", "reason"),
    [
        pytest.param(
            [denial("no"), {"effect": "grant"}], "unknown_effect", "no", "No.", id="before it"
        ),
        pytest.param(
            [{**CLAIM, "name": "sub"}, denial("no")], "protected_claim", "no", "No.", id="after it"
        ),
        pytest.param(
            [{**denial(), "code": "Not in group"}],
            "invalid_effect",
            "rule_failed",
            "No.",
            id="its own code is illegal",
        ),
        pytest.param(
            [{"effect": "deny"}], "invalid_effect", "rule_failed", "You cannot log in.", id="bare"
        ),
    ],
)
def test_a_refusal_stands_whatever_else_is_wrong_with_the_answer(
    effects: list[Any], fault: str, code: str, reason: str
) -> None:
    given = read_answer(an_entry(on_error="continue"), answer(*effects))

    assert given.fault == fault
    assert given.denial is not None
    assert (given.denial["code"], given.denial["reason"]) == (code, reason)
    assert len(given.effects) == 1


def test_a_refusal_that_is_not_declared_is_none() -> None:
    entry = an_entry(on_error="continue", writes=["id_token.claims"])

    given = read_answer(entry, answer(denial()))

    assert (given.fault, given.effects) == ("undeclared_effect", ())


def test_a_legal_answer_is_taken_in_its_order() -> None:
    given = read_answer(an_entry(), answer(METADATA, CLAIM))

    assert given.fault is None
    assert given.effects == (METADATA, CLAIM)


def test_as_many_effects_as_anyone_needs_are_taken() -> None:
    given = read_answer(an_entry(), answer(*[CLAIM] * MAX_EFFECTS))

    assert len(given.effects) == MAX_EFFECTS


def test_a_check_of_the_deployment_refuses_too() -> None:
    def check(entry: Entry, effects: Sequence[Effect]) -> None:
        raise InvalidEffectError("unknown_role", "not in the table")

    given = read_answer(an_entry(on_error="deny"), answer(CLAIM), check)

    assert given.fault == "unknown_role"
    assert given.denial is not None


@pytest.mark.parametrize(
    ("warnings", "kept"),
    [
        pytest.param(["retired_namespace"], ("retired_namespace",), id="a code"),
        pytest.param(["claim:https://x/y"], ("claim:https://x/y",), id="a code with a subject"),
        pytest.param(["jane@example.com", "Jane Doe"], (), id="no text of a rule's own"),
        pytest.param([7, None, ["x"]], (), id="no values"),
        pytest.param("retired", (), id="no list"),
        pytest.param({"a": 1}, (), id="an object"),
        pytest.param(["w"] * 100, ("w",) * 20, id="twenty are enough"),
        pytest.param(["x" * 101], (), id="none without end"),
    ],
)
def test_warnings_are_codes(warnings: Any, kept: tuple[str, ...]) -> None:
    given = read_answer(an_entry(), {**answer(CLAIM), "warnings": warnings})

    assert given.warnings == kept
    assert given.fault is None
