"""Whatever a pre token generation trigger answers, some things never change.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.aws.pre_token import PROTECTED, GroupConfiguration, Tokens, WrongShape, apply

CLIENT = "client-1"
ID = {"sub": "s", "aud": CLIENT, "token_use": "id", "exp": 9, "iat": 1, "email": "a@example.com"}
ACCESS = {"sub": "s", "client_id": CLIENT, "token_use": "access", "exp": 9, "scope": "openid"}

NAMES = st.sampled_from(
    [*sorted(PROTECTED), "aud", "scope", "cognito:groups", "cognito:x", "email"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "claimsToAddOrOverride": st.dictionaries(NAMES | st.text(max_size=4), VALUES) | VALUES,
        "claimsToSuppress": st.lists(NAMES) | VALUES,
        "scopesToAdd": st.lists(st.text(max_size=4)) | VALUES,
        "scopesToSuppress": st.lists(st.text(max_size=4)) | VALUES,
    },
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "idTokenGeneration": BLOCKS | VALUES,
        "accessTokenGeneration": BLOCKS | VALUES,
        "groupOverrideDetails": st.fixed_dictionaries(
            {}, optional={"groupsToOverride": st.lists(st.text(max_size=4)) | VALUES}
        )
        | VALUES,
    },
)


@given(ANSWERS)
def test_protected_claims_survive_every_answer(answer: dict[str, Any]) -> None:
    tokens = Tokens(dict(ID), dict(ACCESS), GroupConfiguration(["staff"], ["arn:1"], "arn:1"))

    try:
        apply("V3_0", {"claimsAndScopeOverrideDetails": answer}, tokens, CLIENT)
    except WrongShape:
        return

    assert tokens.id is not None
    for name in PROTECTED | {"aud"}:
        assert tokens.id.get(name) == ID.get(name)
    for name in PROTECTED:
        assert tokens.access.get(name) == ACCESS.get(name)
    assert tokens.access.get("aud") in (None, CLIENT)
    assert isinstance(tokens.access["scope"], str)


@given(ANSWERS)
def test_the_same_answer_twice_gives_the_same_tokens(answer: dict[str, Any]) -> None:
    results: list[object] = []
    for _ in range(2):
        tokens = Tokens(copy.deepcopy(ID), copy.deepcopy(ACCESS), GroupConfiguration(["staff"]))
        try:
            dropped = apply("V2_0", {"claimsAndScopeOverrideDetails": answer}, tokens, CLIENT)
        except WrongShape as shape:
            results.append(str(shape))
            continue
        results.append((tokens.id, tokens.access, dropped))

    assert results[0] == results[1]


@given(BLOCKS | VALUES)
def test_version_one_never_touches_the_claims_of_the_access_token(answer: Any) -> None:
    tokens = Tokens(dict(ID), dict(ACCESS))

    try:
        apply("V1_0", {"claimsOverrideDetails": answer}, tokens, CLIENT)
    except WrongShape:
        return

    assert tokens.access == ACCESS
