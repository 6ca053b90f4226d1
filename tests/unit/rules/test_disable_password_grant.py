from typing import Any

import pytest

from cognito_rules import Effects
from cognito_rules.app_clients import function_app_clients
from cognito_rules.testing import a_login
from functions.disable_password_grant.app import rule
from tests.loopback import Reply, Server, reply

# Other applications are left alone by the entry's `when`.

API = ["aws.cognito.signin.user.admin"]
SILENT = Reply(reset=True)


@pytest.fixture(autouse=True)
def fresh(amazon: Server) -> None:
    function_app_clients.cache_clear()


def allows(*flows: str) -> Reply:
    """Return what Cognito says of an app client with these flows."""
    return reply(200, {"UserPoolClient": {"ExplicitAuthFlows": list(flows)}})


def decide(
    transaction: dict[str, Any] | None = None, connection: str = "COGNITO", **settings: Any
) -> Effects:
    given: dict[str, Any] = {"requested_scopes": API, "user_pool_id": "eu-west-1_Example01"}
    return rule.decide(
        a_login(
            client={"client_id": "1example23456789clientid00"},
            transaction=given if transaction is None else transaction,
            connection={"name": connection},
            configuration=settings,
        )
    )


PASSWORD, SRP, CHOICE, CUSTOM = (
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_CUSTOM_AUTH",
)


@pytest.mark.parametrize(
    ("flows", "blocked", "denied"),
    [
        pytest.param([PASSWORD], ["sdk_password"], True, id="passwords only"),
        pytest.param([PASSWORD, SRP], ["sdk_password"], True, id="passwords, or SRP: who knows"),
        pytest.param([SRP], ["sdk_password"], False, id="SRP only"),
        pytest.param([SRP], ["sdk_srp"], True, id="SRP only, which is blocked"),
        pytest.param([CHOICE], ["sdk_password"], True, id="the choice-based flow"),
        pytest.param(["ADMIN_NO_SRP_AUTH"], ["sdk_password"], True, id="the flow's old name"),
        pytest.param(["ALLOW_ADMIN_USER_PASSWORD_AUTH"], ["sdk_password"], True, id="of a server"),
        pytest.param([CUSTOM], ["sdk_password", "sdk_srp"], False, id="challenges of one's own"),
        pytest.param([], ["sdk_srp"], True, id="no flow named: SRP is the default"),
        pytest.param([], ["sdk_password"], False, id="no flow named: no plain passwords"),
    ],
)
def test_a_sign_in_by_the_api_and_what_its_app_client_allows(
    flows: list[str], blocked: list[str], denied: bool, amazon: Server
) -> None:
    amazon.replies = [allows(*flows)]

    effects = decide(blocked=blocked)

    assert effects.denied_with == ("password_grant_disabled" if denied else None)
    assert effects.warnings == []


def test_an_app_client_that_cannot_be_read_allows_with_a_warning(amazon: Server) -> None:
    amazon.replies = [SILENT]

    effects = decide()

    assert effects.denied_with is None
    assert effects.warnings == ["app_client_unreadable"]


def test_where_every_sign_in_by_the_api_is_blocked_no_app_client_is_read(amazon: Server) -> None:
    amazon.replies = [SILENT]

    assert decide(blocked=["sdk_any"]).denied_with == "password_grant_disabled"
    assert amazon.received == []


@pytest.mark.parametrize(
    ("protocol", "blocked", "denied"),
    [
        pytest.param("sdk_password", ["sdk_password"], True, id="a password, known to be one"),
        pytest.param("sdk_srp", ["sdk_password"], False, id="SRP, known to be it"),
        pytest.param("sdk_srp", ["sdk_any"], True, id="SRP where every one is blocked"),
        pytest.param("oauth2", ["sdk_any"], False, id="the login page"),
        pytest.param("sdk_custom", ["sdk_any"], False, id="challenges of one's own"),
    ],
)
def test_a_protocol_that_is_known_counts(
    protocol: str, blocked: list[str], denied: bool, amazon: Server
) -> None:
    effects = decide({"protocol": protocol, "requested_scopes": API}, blocked=blocked)

    assert (effects.denied_with is not None) == denied
    assert amazon.received == []


@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param(["openid"], id="of a login page"),
        pytest.param(["openid", *API], id="of a login page, self-service among them"),
        pytest.param([], id="none"),
    ],
)
def test_scopes_that_only_a_login_page_is_asked_for_allow(scopes: list[str]) -> None:
    assert decide({"requested_scopes": scopes}, blocked=["sdk_any"]).denied_with is None


def test_who_came_by_an_identity_provider_sent_no_password() -> None:
    assert decide(connection="Partner", blocked=["sdk_any"]).denied_with is None


def test_a_trigger_that_knows_no_scopes_allows_with_a_warning() -> None:
    effects = decide({"user_pool_id": "eu-west-1_Example01"}, blocked=["sdk_any"])

    assert effects.denied_with is None
    assert effects.warnings == ["protocol_unknown"]


def test_a_refresh_is_judged_only_where_the_entry_says_so() -> None:
    """Then like the sign-in that it goes back to."""
    refresh = {"protocol": "oauth2-refresh-token", "requested_scopes": API}

    assert not rule.manifest.runs_on_refresh
    assert decide(refresh, blocked=["sdk_any"]).denied_with == "password_grant_disabled"


def test_the_app_client_is_asked_about_once(amazon: Server) -> None:
    amazon.replies = [allows(PASSWORD)]

    for _ in range(3):
        assert decide().denied_with == "password_grant_disabled"

    assert len(amazon.received) == 1
    assert amazon.received[0].json()["ClientId"] == "1example23456789clientid00"
