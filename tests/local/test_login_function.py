"""Which trigger decides a login, and what the triggers of one login share; on real tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import UNKNOWN, Login
from cognito_rules.pipeline import LoginRefusedError
from tests.cognito_events import (
    CLIENT,
    FEDERATED,
    SUB,
    attributes,
    client_credentials,
    post_authentication,
    post_confirmation,
    pre_token,
)
from tests.local.login_subject import Subject, claims
from tests.made_up_chain import GUARD, allow, refuse


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(post_authentication(), id="after authentication"),
        pytest.param(pre_token(), id="at the token stage alone"),
        pytest.param(pre_token("TokenGeneration_HostedAuth"), id="managed login"),
        pytest.param(pre_token("TokenGeneration_NewPasswordChallenge"), id="a new password"),
        pytest.param(pre_token("TokenGeneration_AuthenticateDevice"), id="a remembered device"),
        pytest.param(pre_token("TokenGeneration_SomethingNew"), id="a source nobody knows yet"),
        pytest.param(pre_token("TokenGeneration_RefreshTokens"), id="a refresh"),
        pytest.param(post_confirmation(user=attributes(**FEDERATED)), id="a first federated login"),
    ],
)
def test_a_guard_refuses_whichever_trigger_is_called(subject: Subject, event: Any) -> None:
    subject.rule("guard", refuse, **GUARD)

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(event)


def test_both_triggers_share_one_decision(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)

    subject.handle(post_authentication())
    subject.handle(pre_token())

    assert subject.runs == {"guard": 1}
    assert len(subject.records("login")) == 1


def test_the_other_order_shares_it_too(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)

    subject.handle(pre_token())
    subject.handle(post_authentication())

    assert subject.runs == {"guard": 1}
    assert subject.profile()["logins_count"] == 1


def test_the_other_order_shares_it_although_the_login_changed_the_profile(
    subject: Subject,
) -> None:
    def write(login: Login, effects: Effects) -> None:
        effects.set_app_metadata("seen", [login.stats.logins_count, login.user.app_metadata])

    subject.rule(
        "writer",
        write,
        reads=["user.app_metadata", "stats.logins_count"],
        writes=["user.app_metadata"],
    )

    subject.handle(pre_token())
    subject.handle(post_authentication())
    subject.handle(pre_token())

    assert subject.runs == {"writer": 1}
    assert subject.profile()["app_metadata"] == {"seen": [1, {}]}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(pre_token(metadata={"channel": "mobile"}), id="other client metadata"),
        pytest.param(pre_token(user=attributes(email="new@example.com")), id="other attributes"),
        pytest.param(pre_token(client_id="another"), id="another application"),
        pytest.param(pre_token(user=attributes(sub="another")), id="another user"),
        pytest.param(pre_token("TokenGeneration_RefreshTokens"), id="a refresh"),
    ],
)
def test_different_inputs_are_decided_afresh(subject: Subject, event: Any) -> None:
    reads = ["user.email", "request.client_metadata"]
    subject.rule("guard", allow, reads=reads, **GUARD)
    subject.handle(post_authentication(metadata={"channel": "web"}))

    subject.handle(event)

    assert subject.runs == {"guard": 2}


def test_a_profile_changed_in_between_is_decided_afresh(subject: Subject) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if login.user.app_metadata.get("deleted"):
            effects.deny("No.", code="user_flagged")

    subject.rule("guard", guard, reads=["user.app_metadata"], **GUARD)
    subject.handle(post_authentication())
    flagged = {"pk": {"S": f"USER#{SUB}"}, "app_metadata": {"M": {"deleted": {"BOOL": True}}}}
    subject.dynamodb.put_item(TableName=subject.tables["profiles"], Item=flagged)

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())


def test_a_memo_is_good_for_a_minute(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)

    subject.handle(post_authentication())
    subject.clock.now += 60
    subject.handle(pre_token())
    subject.clock.now += 1
    subject.handle(pre_token())

    assert subject.runs == {"guard": 2}


def test_a_refusal_is_never_remembered(subject: Subject) -> None:
    refusing = True

    def guard(login: Login, effects: Effects) -> None:
        if refusing:
            effects.deny("No.", code="refused")

    subject.rule("guard", guard, **GUARD)
    with pytest.raises(LoginRefusedError):
        subject.handle(post_authentication())
    refusing = False

    subject.handle(post_authentication())

    assert subject.runs == {"guard": 2}


def test_what_only_the_token_stage_knows_waits_for_it(subject: Subject) -> None:
    seen: list[Any] = []

    def guard(login: Login, effects: Effects) -> None:
        seen.append(login.user.groups)

    subject.rule("guard", guard, reads=["user.groups"], **GUARD)

    subject.handle(post_authentication())
    subject.handle(pre_token(groups=["staff"]))

    assert seen == [["staff"]]


def test_a_token_rule_sees_what_earlier_triggers_decided(subject: Subject) -> None:
    def enrich(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue", only_if_missing=True)

    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/color", login.user.user_metadata.get("color"))

    subject.rule("enrich", enrich, writes=["user.user_metadata.color"])
    subject.rule(
        "show", show, stage="token", reads=["user.user_metadata.color"], writes=["id_token.claims"]
    )
    subject.handle(post_authentication())

    response = subject.handle(pre_token())

    assert claims(response) == {"https://x/color": "blue"}
    assert subject.profile()["user_metadata"] == {"color": "blue"}


def test_client_credentials_run_the_rules_that_ask_for_them_and_touch_no_table(
    subject: Subject,
) -> None:
    def tag(login: Login, effects: Effects) -> None:
        assert login.user.user_id is UNKNOWN
        effects.set_claim("access", "https://x/client", login.client.client_id)

    subject.rule("guard", refuse, **GUARD)
    subject.rule(
        "tag",
        tag,
        stage="token",
        reads=["client.client_id", "user.user_id"],
        writes=["access_token.claims"],
        runs_on_client_credentials=True,
    )

    response = subject.handle(client_credentials())

    assert claims(response, "access") == {"https://x/client": CLIENT}
    assert subject.profile() == {}
    assert subject.records("login") == []


def test_a_forgotten_password_is_no_login(subject: Subject) -> None:
    subject.rule("guard", refuse, **GUARD)
    event = post_confirmation("PostConfirmation_ConfirmForgotPassword")

    assert subject.function.handle(event) == event


@pytest.mark.parametrize(
    ("reads", "is_recorded"),
    [
        pytest.param(["user.app_metadata.last_password_reset"], True, id="when a rule asks for it"),
        pytest.param(["user.app_metadata"], True, id="when a rule reads all"),
        pytest.param(["user.app_metadata.plan"], False, id="not when no rule asks"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_replaced_password_is_recorded(
    subject: Subject, reads: list[str], is_recorded: bool, is_known: bool
) -> None:
    subject.rule("guard", reads=reads, **GUARD)
    if is_known:
        subject.handle(pre_token())

    subject.function.handle(post_confirmation("PostConfirmation_ConfirmForgotPassword"))

    kept = subject.profile().get("app_metadata", {}) if is_known or is_recorded else {}
    assert list(kept) == (["last_password_reset"] if is_recorded else [])


def test_the_confirmation_of_a_local_account_is_no_login(subject: Subject) -> None:
    subject.rule("guard", refuse, **GUARD)
    subject.rule("tell", allow, stage="after_login", events=["SignUpConfirmed"])

    subject.handle(post_confirmation())

    [record] = subject.records("signup")
    assert json.loads(record["announcement"])["type"] == "SignUpConfirmed"


def test_a_refresh_skips_what_does_not_run_on_refresh_and_announces_nothing(
    subject: Subject,
) -> None:
    subject.rule("at_login", allow)
    subject.rule("guard", allow, **GUARD)
    subject.rule("tell", allow, stage="after_login")

    subject.handle(pre_token("TokenGeneration_RefreshTokens"))

    assert subject.runs == {"guard": 1}
    assert subject.records("login") == []
    assert subject.profile() == {}
