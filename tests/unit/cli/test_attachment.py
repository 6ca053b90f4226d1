"""What attaching and detaching change: after both, everything is as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.attachment import PRE_TOKEN, PRE_TOKEN_TWIN, STACK_TAG, Wiring, attach, detach

FUNCTIONS = "arn:aws:lambda:eu-west-1:000000000000:function:"
WIRING = Wiring("acme", f"{FUNCTIONS}acme-login:live", f"{FUNCTIONS}acme-sign-up:live", "V3_0")
OTHER = f"{FUNCTIONS}their-trigger"

_arns = st.sampled_from([OTHER, f"{OTHER}:live", f"{FUNCTIONS}acme-loginx:live", f"{FUNCTIONS}a"])
_versioned = st.builds(
    lambda arn, version: {"LambdaArn": arn, "LambdaVersion": version},
    _arns,
    st.sampled_from(["V1_0", "V2_0", "V3_0"]),
)
_texts = st.sampled_from(["PreSignUp", "PostAuthentication", "PostConfirmation", "CustomMessage"])
_token = st.one_of(
    st.just({}),
    _versioned.map(lambda value: {PRE_TOKEN: value}),
    _versioned.map(lambda value: {PRE_TOKEN: value, PRE_TOKEN_TWIN: value["LambdaArn"]}),
    _arns.map(lambda arn: {PRE_TOKEN_TWIN: arn}),
)
triggers_before = st.builds(
    lambda texts, token: {**texts, **token}, st.dictionaries(_texts, _arns), _token
)
tags_before = st.dictionaries(st.sampled_from(["team", "aws:x", "cognito-rule"]), st.text())


@given(triggers_before, tags_before, st.sampled_from(["V1_0", "V3_0"]), st.booleans())
def test_detaching_undoes_attaching(
    triggers: dict[str, Any], tags: dict[str, str], version: str, replace: bool
) -> None:
    wiring = Wiring(WIRING.stack, WIRING.login, WIRING.sign_up, version)

    attached = attach(triggers, tags, wiring, replace=replace)
    again = attach(attached.triggers, attached.tags, wiring, replace=replace)
    detached = detach(again.triggers, again.tags, "acme")

    assert (again.triggers, again.tags) == (attached.triggers, attached.tags)
    assert (detached.triggers, detached.tags) == (triggers, tags)
    assert not detached.left


@given(triggers_before)
def test_another_function_is_never_replaced_unasked(triggers: dict[str, Any]) -> None:
    change = attach(triggers, {}, WIRING)

    for name, value in triggers.items():
        assert change.triggers[name] == value
    foreign = {PRE_TOKEN if name == PRE_TOKEN_TWIN else name for name in triggers}
    assert change.foreign.keys() == foreign - {"CustomMessage"}


@given(triggers_before)
def test_replacing_leaves_triggers_of_other_kinds_alone(triggers: dict[str, Any]) -> None:
    change = attach(triggers, {}, WIRING, replace=True)

    assert change.triggers == WIRING.triggers | {
        name: value for name, value in triggers.items() if name == "CustomMessage"
    }


def test_version_1_names_the_function_under_both_names() -> None:
    wiring = Wiring("acme", WIRING.login, WIRING.sign_up, "V1_0")

    change = attach({}, {}, wiring)

    assert change.triggers[PRE_TOKEN_TWIN] == change.triggers[PRE_TOKEN]["LambdaArn"]


def test_an_older_version_of_the_event_is_moved_to_the_stacks() -> None:
    old = WIRING.triggers | {PRE_TOKEN: {"LambdaArn": WIRING.login, "LambdaVersion": "V1_0"}}

    change = attach(old, {}, WIRING)

    assert change.triggers == WIRING.triggers
    assert not change.foreign


def test_an_arn_that_no_tag_can_hold_is_said() -> None:
    change = attach({"PreSignUp": FUNCTIONS + "x" * 250}, {}, WIRING, replace=True)

    assert change.too_long == ["PreSignUp"]


def test_what_was_pointed_elsewhere_since_stays() -> None:
    attached = attach({"PreSignUp": OTHER}, {}, WIRING, replace=True)
    since = attached.triggers | {"PreSignUp": f"{OTHER}-new"}

    change = detach(since, attached.tags, "acme")

    assert change.triggers == {"PreSignUp": f"{OTHER}-new"}
    assert change.left == ["PreSignUp"]
    assert change.tags == {}


@pytest.mark.parametrize(
    ("arn", "is_taken_off"),
    [
        pytest.param(f"{FUNCTIONS}acme-login:live", True, id="the alias"),
        pytest.param(f"{FUNCTIONS}acme-login", True, id="the function itself"),
        pytest.param(f"{FUNCTIONS}acme-login-2:live", False, id="a longer name"),
        pytest.param(f"{FUNCTIONS}my-acme-login:live", False, id="another stack's name"),
        pytest.param(f"{FUNCTIONS}acme.login:live", False, id="no such name"),
    ],
)
def test_functions_are_known_by_their_whole_name(arn: str, is_taken_off: bool) -> None:
    change = detach({"PostAuthentication": arn}, {STACK_TAG: "acme"}, "acme")

    assert (change.triggers == {}) is is_taken_off
