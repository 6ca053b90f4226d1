"""What a backend vouches for, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_rules.errors import SecretError
from cognito_rules.request_context import (
    ContextRefusedError,
    RequestContext,
    sign_context,
    verified_context,
)

KEY = "a-key-of-a-test"
AT = 1_795_340_000.0
WHO = {"client_id": "1example23456789clientid00", "username": "jane"}


def signed(**changes: Any) -> dict[str, str]:
    return sign_context(**{"key": KEY, **WHO, "ip": "203.0.113.9", "at": AT, **changes})


def verify(metadata: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return verified_context(metadata, lambda: KEY, **{**WHO, "at": AT, **changes})


def test_the_signature_is_as_documented() -> None:
    # printf '1example23456789clientid00|jane|203.0.113.9|1795340000' |
    #     openssl dgst -sha256 -hmac a-key-of-a-test
    assert signed() == {
        "ip": "203.0.113.9",
        "ts": "1795340000",
        "sig": "1a5d8f12eedb8264e93b0b7e5f3937870e5075aee0eb87298fb8491a5a10480a",
    }


@pytest.mark.parametrize(
    ("ip", "known"),
    [
        pytest.param("203.0.113.9", "203.0.113.9", id="an address"),
        pytest.param("::ffff:203.0.113.9", "203.0.113.9", id="one inside an IPv6 address"),
        pytest.param("2001:DB8::1", "2001:db8::1", id="one in capitals"),
    ],
)
def test_what_is_signed_is_known(ip: str, known: str) -> None:
    assert verify(signed(ip=ip)) == {"ip": known}


def test_a_user_agent_is_known_when_it_is_signed() -> None:
    assert verify(signed(user_agent="Firefox|145")) == {
        "ip": "203.0.113.9",
        "user_agent": "Firefox|145",
    }


def test_a_user_agent_without_end_is_cut() -> None:
    assert len(verify(signed(user_agent="x" * 513))["user_agent"]) == 512


def test_capitals_in_the_signature_do_not_matter() -> None:
    metadata = signed()

    assert verify(metadata | {"sig": metadata["sig"].upper()}) == {"ip": "203.0.113.9"}


@pytest.mark.parametrize("metadata", [{}, {"ip": "203.0.113.9"}, {"ip": "x", "ts": "1"}])
def test_what_is_not_signed_is_not_known(metadata: dict[str, str]) -> None:
    assert verify(metadata) == {}


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        pytest.param(signed() | {"ip": "10.0.0.1"}, "bad_signature", id="another address"),
        pytest.param(signed() | {"ts": "1795340001"}, "bad_signature", id="another time"),
        pytest.param(signed() | {"sig": "0" * 64}, "bad_signature", id="another signature"),
        pytest.param(signed() | {"sig": ""}, "bad_signature", id="an empty signature"),
        pytest.param(signed() | {"sig": "ä"}, "bad_signature", id="a signature of other letters"),
        pytest.param(signed(key="another"), "bad_signature", id="another key"),
        pytest.param(signed(client_id="other"), "bad_signature", id="of another application"),
        pytest.param(signed(username="joe"), "bad_signature", id="of another person"),
        pytest.param(signed() | {"user_agent": "curl"}, "bad_signature", id="an added user agent"),
        pytest.param(
            {k: v for k, v in signed(user_agent="a").items() if k != "user_agent"},
            "bad_signature",
            id="a user agent left out",
        ),
        pytest.param(signed(ip="office"), "malformed", id="no address"),
        pytest.param(signed() | {"ts": "now"}, "malformed", id="no time"),
        pytest.param(signed() | {"ts": "١٢٣"}, "malformed", id="digits of another script"),
        pytest.param({"sig": "0" * 64}, "malformed", id="a signature of nothing"),
        pytest.param(signed() | {"ip": {"a": 1}}, "malformed", id="an object as address"),
    ],
)
def test_what_vouches_for_nothing(metadata: dict[str, Any], code: str) -> None:
    with pytest.raises(ContextRefusedError) as refused:
        verify(metadata)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("age", "is_good"),
    [
        pytest.param(0, True, id="new"),
        pytest.param(120, True, id="two minutes"),
        pytest.param(121, False, id="a second more"),
        pytest.param(-5, True, id="a clock that is a little fast"),
        pytest.param(-6, False, id="a clock that is too fast"),
    ],
)
def test_a_signature_is_good_for_two_minutes(age: int, is_good: bool) -> None:
    metadata = signed(at=AT - age)

    if is_good:
        assert verify(metadata) == {"ip": "203.0.113.9"}
    else:
        with pytest.raises(ContextRefusedError, match="stale"):
            verify(metadata)


def test_a_name_with_bars_signs_nobody_elses_address() -> None:
    """``a|b`` as a name, and ``b`` as a part of another text, must never be the same text."""
    crafted = sign_context(
        KEY, client_id=WHO["client_id"], username="jane|10.0.0.1|1795340000", ip="1.2.3.4", at=AT
    )

    with pytest.raises(ContextRefusedError):
        verify(crafted | {"ip": "10.0.0.1"})


def learn(facts: dict[str, Any], context: RequestContext) -> str | None:
    return context.learn(facts, **WHO, at=AT, needs_place=lambda: True)


def test_what_is_learnt_stands_beside_what_was_known() -> None:
    facts: dict[str, Any] = {"request": {"client_metadata": signed()}}

    assert learn(facts, RequestContext(key=lambda: KEY)) is None
    assert facts["request"] == {"client_metadata": signed(), "ip": "203.0.113.9"}


def test_a_login_without_metadata_asks_for_no_key() -> None:
    def no_key() -> str:
        raise AssertionError("nobody needs the key")

    facts: dict[str, Any] = {"client": {}}

    assert learn(facts, RequestContext(key=no_key)) is None
    assert facts == {"client": {}}


def test_a_key_that_cannot_be_read_leaves_the_address_unknown() -> None:
    def broken() -> str:
        raise SecretError("REQUEST_CONTEXT_KEY", "no answer")

    facts: dict[str, Any] = {"request": {"client_metadata": signed()}}

    assert learn(facts, RequestContext(key=broken)) == "key_unavailable"
    assert "ip" not in facts["request"]


def test_a_refused_signature_says_why_and_leaves_the_address_unknown() -> None:
    facts: dict[str, Any] = {"request": {"client_metadata": signed(at=AT - 500)}}

    assert learn(facts, RequestContext(key=lambda: KEY)) == "stale"
    assert "ip" not in facts["request"]
