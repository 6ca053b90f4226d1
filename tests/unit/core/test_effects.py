from collections.abc import Callable
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.errors import InvalidEffectError, UndeclaredEffectError
from cognito_rules.protocol import EFFECTS, check_effect

ROLE = "arn:aws:iam::123456789012:role/reader"

CALLS: dict[str, Callable[[Effects], None]] = {
    "deny": lambda effects: effects.deny("No.", code="not_here"),
    "set_claim": lambda effects: effects.set_claim("id", "a", 1),
    "remove_claim": lambda effects: effects.remove_claim("access", "a"),
    "add_scope": lambda effects: effects.add_scope("a"),
    "remove_scope": lambda effects: effects.remove_scope("a"),
    "set_groups": lambda effects: effects.set_groups(["a"]),
    "set_authorization": lambda effects: effects.set_authorization(
        roles=["a"], permissions=[], groups=[]
    ),
    "set_aws_role": lambda effects: effects.set_aws_role([ROLE], preferred=ROLE),
    "set_session_tags": lambda effects: effects.set_session_tags({"a": "b"}),
    "set_user_metadata": lambda effects: effects.set_user_metadata("a", 1, only_if_missing=True),
    "set_app_metadata": lambda effects: effects.set_app_metadata("a", None),
    "set_profile": lambda effects: effects.set_profile("name", "Jane"),
    "set_enrichment": lambda effects: effects.set_enrichment(
        "vendor", "found", facts={"title": "Engineer"}, expires_in=60
    ),
    "require_mfa": lambda effects: effects.require_mfa(["any"]),
    "redirect": lambda effects: effects.redirect("https://example.com", expires_in=300),
    "set_saml_attribute": lambda effects: effects.set_saml_attribute("a", ["b"]),
    "configure_saml": lambda effects: effects.configure_saml({"a": 1}),
    "send_email": lambda effects: effects.send_email("welcome", to="jane@example.com"),
}


def test_there_is_a_method_for_every_effect() -> None:
    assert set(CALLS) == set(EFFECTS)


@pytest.mark.parametrize("name", CALLS)
def test_an_effect_that_is_not_declared_is_refused_at_once(name: str) -> None:
    effects = Effects(writes=[])

    with pytest.raises(UndeclaredEffectError, match=name):
        CALLS[name](effects)
    assert effects.items == []


@pytest.mark.parametrize("name", CALLS)
def test_a_recorded_effect_passes_the_check_of_the_login_function(name: str) -> None:
    effects = Effects()

    CALLS[name](effects)

    [effect] = effects.items
    assert effect["effect"] == name
    assert check_effect(effect, Effects()._writes) == effect


def test_an_illegal_value_is_refused_where_the_rule_can_see_it() -> None:
    effects = Effects()

    with pytest.raises(InvalidEffectError) as raised:
        effects.set_claim("id", "sub", "x")

    assert raised.value.code == "protected_claim"
    assert effects.items == []


@pytest.mark.parametrize("value", [0, False, "", [], {}])
def test_a_claim_can_be_empty(value: Any) -> None:
    effects = Effects()

    effects.set_claim("id", "a", value)

    assert effects.items[0]["value"] == value


def test_a_claim_of_none_is_left_out() -> None:
    effects = Effects()

    effects.set_claim("id", "a", None)

    assert effects.items == []


def test_a_retired_namespace_is_one_warning() -> None:
    effects = Effects()

    effects.set_claim("id", "https://tenant.auth0.com/a", 1)
    effects.set_claim("access", "https://tenant.auth0.com/a", 1)

    assert effects.warnings == ["retired_namespace"]


def test_order_is_kept_and_the_first_denial_names_the_refusal() -> None:
    effects = Effects()

    effects.add_scope("a")
    effects.deny("No.", code="first")
    effects.deny("No.", code="second")

    assert [item["effect"] for item in effects.items] == ["add_scope", "deny", "deny"]
    assert effects.denied_with == "first"


def test_without_a_denial_nothing_is_refused() -> None:
    effects = Effects()

    effects.warn("odd")

    assert effects.denied_with is None
    assert effects.warnings == ["odd"]
    assert effects.items == []


def test_what_was_recorded_does_not_change_with_the_rules_own_lists() -> None:
    effects, roles, tags = Effects(), [ROLE], {"a": "b"}
    effects.set_aws_role(roles)
    effects.set_session_tags(tags)

    roles.clear()
    tags.clear()

    assert effects.items[0]["role_arns"] == [ROLE]
    assert effects.items[1]["tags"] == {"a": "b"}


def test_a_denials_text_is_cleaned() -> None:
    effects = Effects()

    effects.deny("No\x00.\n", code="not_here", public_code="secret_reason")

    assert effects.items[0]["reason"] == "No ."
    assert effects.items[0]["public_code"] == "access_denied"
