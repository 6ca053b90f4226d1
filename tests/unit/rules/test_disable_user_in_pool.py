import json
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects, UpstreamError
from cognito_rules.testing import a_login
from cognito_rules.user_pools import function_user_pools
from functions.disable_user_in_pool.app import rule
from tests.loopback import Reply, Server, reply

SAMPLE = json.loads(Path("events/disable_user_in_pool.json").read_text())
DONE = reply(200, {})
PERSON = {"UserPoolId": "eu-west-1_Example01", "Username": "jane"}


@pytest.fixture(autouse=True)
def fresh(amazon: Server) -> None:
    function_user_pools.cache_clear()


def refused(code: str = "user_flagged", **settings: Any) -> Effects:
    return rule.decide(
        a_login(
            event={"code": code},
            user={"username": "jane"},
            transaction={"user_pool_id": "eu-west-1_Example01"},
            configuration=settings,
        )
    )


def found(*, enabled: bool = True, status: str = "CONFIRMED") -> Reply:
    return reply(200, {"Enabled": enabled, "UserStatus": status})


def done(server: Server) -> list[str]:
    """Return what was done to the person, after who they are was read."""
    names = [r.headers["x-amz-target"].partition(".")[2] for r in server.received]
    assert names[:1] in ([], ["AdminGetUser"])
    assert all(request.json() == PERSON for request in server.received)
    return names[1:]


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        pytest.param(
            reply(400, {"__type": "AccessDeniedException"}), "misconfigured", False, id="forbidden"
        ),
        pytest.param(
            reply(400, {"__type": "TooManyRequestsException"}), "too_many_requests", True, id="busy"
        ),
        pytest.param(
            reply(500, {"__type": "InternalErrorException"}), "upstream_unavailable", True, id="5xx"
        ),
        pytest.param(
            reply(400, {"__type": "InvalidParameterException"}),
            "invalid_parameter",
            False,
            id="nowhere to send a code to",
        ),
        pytest.param(reply(400, {"__type": "E: a b"}), "upstream_error", False, id="no error type"),
    ],
)
def test_a_failure_is_the_deliverys_to_repeat_or_to_keep(
    answer: Reply, code: str, retryable: bool, amazon: Server
) -> None:
    amazon.replies = [found(), answer]

    with pytest.raises(UpstreamError) as caught:
        refused()

    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_a_person_who_is_gone_is_a_warning(amazon: Server) -> None:
    amazon.replies = [reply(400, {"__type": "UserNotFoundException"})]

    assert refused().warnings == ["user_not_found"]


def test_a_flagged_person_is_signed_out_and_disabled(amazon: Server) -> None:
    amazon.replies = [found(), DONE]

    effects = refused()

    assert done(amazon) == ["AdminUserGlobalSignOut", "AdminDisableUser"]
    assert (effects.items, effects.warnings) == ([], [])


def test_the_sample_event(amazon: Server) -> None:
    amazon.replies = [found(), DONE]

    assert rule.answer(SAMPLE) == {"version": 1, "effects": SAMPLE["expect"]}

    assert len(amazon.received) == 3


def test_who_is_refused_twice_is_disabled_once(amazon: Server) -> None:
    amazon.replies = [found(enabled=False)]

    refused()

    assert done(amazon) == []


@pytest.mark.parametrize(
    ("status", "calls"),
    [
        pytest.param("CONFIRMED", ["AdminResetUserPassword"], id="a password that may be replaced"),
        pytest.param("RESET_REQUIRED", [], id="asked before"),
        pytest.param("FORCE_CHANGE_PASSWORD", [], id="a temporary password"),
        pytest.param("EXTERNAL_PROVIDER", [], id="no password here"),
    ],
)
def test_an_old_password_has_to_be_replaced(status: str, calls: list[str], amazon: Server) -> None:
    amazon.replies = [found(status=status), DONE]

    refused("password_expired", on_codes={"password_expired": "reset_password"})

    assert done(amazon) == calls


def test_signing_out_leaves_the_user_enabled(amazon: Server) -> None:
    amazon.replies = [found(), DONE]

    refused("blocked", on_codes={"blocked": "sign_out"})

    assert done(amazon) == ["AdminUserGlobalSignOut"]


def test_other_refusals_change_nothing(amazon: Server) -> None:
    refused("outside_network")

    assert amazon.received == []


@pytest.mark.parametrize(
    "codes",
    [pytest.param({}, id="no code"), pytest.param({"user_flagged": "delete"}, id="no such action")],
)
def test_settings_that_cannot_be_are_refused(codes: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="on_codes"):
        refused(on_codes=codes)
