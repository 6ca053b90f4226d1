from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.mfa_for_passwordless_outside_network.app import rule

NOW = "2026-11-22T09:30:00Z"
INSIDE, OUTSIDE = "192.168.1.150", "203.0.113.9"
EVERY_OTHER = {
    "sms": ["totp", "webauthn", "email", "duo"],
    "email": ["totp", "webauthn", "sms", "duo"],
}


def method(name: str, at: str | None = "2026-11-22T09:29:00Z", **more: str) -> dict[str, str]:
    return {"name": name, **more} | ({} if at is None else {"timestamp": at})


def decide(
    proofs: list[Any] | None, ip: str | None = OUTSIDE, prompt: Any = None, **settings: Any
) -> Effects:
    login: dict[str, Any] = {
        "authentication": {} if proofs is None else {"methods": proofs},
        "request": {} if ip is None else {"ip": ip},
        "transaction": {} if prompt is None else {"prompt": prompt},
    }
    configuration = {"networks": ["192.168.1.134/26"], **settings}
    return rule.decide(a_login(**login, now=NOW, configuration=configuration))


def required(effects: Effects) -> list[str] | None:
    """Return the factors of which one is required, None when none is."""
    found = [item["providers"] for item in effects.items if item["effect"] == "require_mfa"]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("methods", "ip", "factors"),
    [
        pytest.param([method("sms")], OUTSIDE, EVERY_OTHER["sms"], id="a texted code from outside"),
        pytest.param([method("email")], OUTSIDE, EVERY_OTHER["email"], id="a mailed code"),
        pytest.param(
            [method("otp", type="email_otp")], OUTSIDE, EVERY_OTHER["email"], id="by its type"
        ),
        pytest.param([method("email")], INSIDE, None, id="a mailed code from inside"),
        pytest.param([method("pwd")], OUTSIDE, None, id="a password"),
        pytest.param([method("fed")], OUTSIDE, None, id="a federated sign-in"),
        pytest.param([method("swk")], OUTSIDE, None, id="a passkey"),
        pytest.param([], OUTSIDE, None, id="no method at all"),
        pytest.param([method("email")], None, EVERY_OTHER["email"], id="nobody knows from where"),
        pytest.param([method("sms")], "2001:db8::1", EVERY_OTHER["sms"], id="another family"),
        pytest.param([method("email"), method("mfa")], OUTSIDE, None, id="with a second factor"),
        pytest.param([method("email"), method("sms")], OUTSIDE, None, id="with another channel"),
        pytest.param(
            [method("email"), method("mfa", "2026-11-21T09:30:00Z")],
            OUTSIDE,
            EVERY_OTHER["email"],
            id="with a factor of yesterday",
        ),
        pytest.param(
            [method("email"), method("mfa", "2026-11-22T09:15:00Z")],
            OUTSIDE,
            None,
            id="with a factor of a quarter of an hour ago",
        ),
        pytest.param(
            [method("email"), method("mfa", "2026-11-22T09:14:59Z")],
            OUTSIDE,
            EVERY_OTHER["email"],
            id="with one of a second before",
        ),
        pytest.param(
            [method("email"), method("mfa", None)],
            OUTSIDE,
            EVERY_OTHER["email"],
            id="with a factor of nobody knows when",
        ),
        pytest.param(
            [method("email"), method("mfa", "2026-11-22T09:29:00")],
            OUTSIDE,
            EVERY_OTHER["email"],
            id="with a time that has no zone",
        ),
    ],
)
def test_a_second_factor_is_asked_of(
    methods: list[Any], ip: str | None, factors: list[str] | None
) -> None:
    effects = decide(methods, ip)

    assert required(effects) == factors
    assert effects.denied_with is None


def test_the_device_is_not_remembered_unless_asked() -> None:
    assert decide([method("sms")]).items[0]["remember_device"] is False


def test_a_remembered_factor_counts_when_devices_are_remembered() -> None:
    methods = [method("email"), method("mfa", "2026-11-01T09:30:00Z")]

    assert required(decide(methods, remember_device=True)) is None


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        pytest.param({}, ["totp", "webauthn", "sms", "email", "duo"], id="is asked for one"),
        pytest.param({"on_unknown_method": "skip"}, None, id="is not, when that is asked"),
    ],
)
def test_who_signed_in_nobody_knows_how(settings: dict[str, Any], factors: Any) -> None:
    assert required(decide(None, **settings)) == factors


def test_an_unknown_address_can_be_let_pass() -> None:
    assert decide([method("sms")], None, on_unknown_ip="skip").items == []
    assert required(decide([method("sms")], OUTSIDE, on_unknown_ip="skip")) == EVERY_OTHER["sms"]


def test_a_silent_sign_in_is_refused_and_never_waived() -> None:
    effects = decide([method("sms")], prompt="none")

    assert effects.items[0]["public_code"] == "interaction_required"
    assert required(effects) is None


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param({"provider": "email"}, "mfa_not_possible", id="of the same channel alone"),
        pytest.param({"provider": "email", "forbid_same_channel": False}, None, id="allowed"),
        pytest.param({"provider": "totp"}, None, id="of another kind"),
    ],
)
def test_a_wanted_factor(settings: dict[str, Any], code: str | None) -> None:
    effects = decide([method("email")], **settings)

    assert effects.denied_with == code
    assert required(effects) == (None if code else [settings["provider"]])


def test_a_factor_that_was_asked_for_and_not_given_is_asked_for_again() -> None:
    first = decide([method("sms")])

    assert required(decide([method("sms")])) == required(first)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"networks": ["office"]}, id="no network"),
        pytest.param({"networks": []}, id="no network at all"),
        pytest.param({"networks": ["0.0.0.0/0"]}, id="every address"),
        pytest.param({"methods": ["pwd"]}, id="a password"),
        pytest.param({"provider": "phone"}, id="an unknown factor"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide([method("sms")], **settings)
