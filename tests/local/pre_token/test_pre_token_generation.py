"""What the pre token generation trigger is told, and what its answer does to the tokens.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

from typing import Any

import pytest

from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused
from tests.local.two_groups import READER, SOURCE, WRITER, sign_in
from tests.local.user_pool import PASSWORD, Probe, UserPool

ADMIN_SCOPE = "aws.cognito.signin.user.admin"


def claims(**values: Any) -> dict[str, Any]:
    return {"claimsToAddOrOverride": values}


class TestTheEvent:
    def test_of_version_three(self, app: App, pool: UserPool, person: str, probe: Probe) -> None:
        app.srp(person, PASSWORD, client_metadata={"tenant": "blue"})

        event = probe.event(SOURCE)
        assert event["version"] == "3"
        assert event["userPoolId"] == pool.id
        assert event["userName"] == person
        assert event["request"]["userAttributes"]["given_name"] == "Ada"
        assert event["request"]["userAttributes"]["cognito:user_status"] == "CONFIRMED"
        assert event["request"]["scopes"] == [ADMIN_SCOPE]
        assert event["request"]["clientMetadata"] == {"tenant": "blue"}
        assert event["request"]["groupConfiguration"] == {
            "groupsToOverride": ["bosses", "staff"],
            "iamRolesToOverride": [WRITER, READER],
            "preferredRole": WRITER,
        }
        assert event["response"] == {"claimsAndScopeOverrideDetails": None}

    def test_of_version_two_differs_in_its_number_only(
        self, aws: EmbeddedAws, probe: Probe
    ) -> None:
        pool = UserPool.create(aws, probe.arn, pre_token_version="V2_0")
        name = pool.person()
        probe.reset()

        pool.app().password(name, PASSWORD)

        event = probe.event(SOURCE)
        assert event["version"] == "2"
        assert event["request"]["scopes"] == [ADMIN_SCOPE]

    def test_of_version_one_knows_no_scopes(self, aws: EmbeddedAws, probe: Probe) -> None:
        pool = UserPool.create(aws, probe.arn, pre_token_version="V1_0")
        name = pool.person()
        probe.reset()

        pool.app().password(name, PASSWORD)

        event = probe.event(SOURCE)
        assert event["version"] == "1"
        assert "scopes" not in event["request"]
        assert event["response"] == {"claimsOverrideDetails": None}


class TestClaims:
    def test_go_to_the_token_they_are_meant_for(self, app: App, person: str, probe: Probe) -> None:
        tokens = sign_in(
            app,
            person,
            probe,
            idTokenGeneration=claims(**{"https://example.com/a": "id", "custom:plan": "gold"}),
            accessTokenGeneration=claims(**{"https://example.com/b": "access"}),
        )

        assert tokens.id_claims["https://example.com/a"] == "id"
        assert tokens.id_claims["custom:plan"] == "gold"
        assert "https://example.com/b" not in tokens.id_claims
        assert tokens.access_claims["https://example.com/b"] == "access"
        assert "https://example.com/a" not in tokens.access_claims

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param("text", id="a string"),
            pytest.param(7, id="a number"),
            pytest.param(1.5, id="a decimal number"),
            pytest.param(True, id="a boolean"),
            pytest.param(["a", 1, False], id="a list of those"),
            pytest.param({"deep": {"er": [1]}}, id="an object"),
            pytest.param("\u00fcn\u00efc\u00f6de \U0001f511", id="unicode"),
        ],
    )
    def test_keep_the_type_they_have(self, value: Any, app: App, person: str, probe: Probe) -> None:
        tokens = sign_in(
            app,
            person,
            probe,
            idTokenGeneration=claims(x=value),
            accessTokenGeneration=claims(x=value),
        )

        assert tokens.id_claims["x"] == value
        assert tokens.access_claims["x"] == value

    def test_that_are_suppressed_and_set_are_suppressed(
        self, app: App, person: str, probe: Probe
    ) -> None:
        block = {**claims(x="set", given_name="Eve"), "claimsToSuppress": ["x", "given_name"]}

        tokens = sign_in(app, person, probe, idTokenGeneration=block, accessTokenGeneration=block)

        for token in (tokens.id_claims, tokens.access_claims):
            assert "x" not in token
            assert "given_name" not in token

    @pytest.mark.parametrize("token", ["id", "access"])
    @pytest.mark.parametrize(
        "name",
        [
            *("sub", "iss", "exp", "iat", "nbf", "jti", "auth_time", "at_hash", "nonce", "acr"),
            *("origin_jti", "token_use", "azp", "event_id", "client_id", "version", "device_key"),
            *("identities", "username", "cognito:username", "cognito:groups", "cognito:roles"),
            *("cognito:anything", "amr", "aud", "dev:custom:x"),
        ],
    )
    def test_that_are_protected_stay_as_they_are_and_the_record_names_them(
        self, name: str, token: str, aws: EmbeddedAws, app: App, person: str, probe: Probe
    ) -> None:
        usual = app.password(person, PASSWORD)
        probe.reset()

        tokens = sign_in(
            app, person, probe, **{f"{token}TokenGeneration": claims(**{name: "evil"})}
        )

        got = tokens.id_claims if token == "id" else tokens.access_claims
        before = usual.id_claims if token == "id" else usual.access_claims
        assert got.get(name) != "evil"
        assert (name in got) == (name in before)
        (call,) = aws.trigger_calls(trigger="PreTokenGeneration", user=person)
        assert call["dropped"] == [f"{token}.{name}"]

    def test_that_are_protected_cannot_be_suppressed(
        self, aws: EmbeddedAws, app: App, person: str, probe: Probe
    ) -> None:
        tokens = sign_in(
            app, person, probe, accessTokenGeneration={"claimsToSuppress": ["sub", "scope", "exp"]}
        )

        assert {"sub", "scope", "exp"} <= set(tokens.access_claims)
        (call,) = aws.trigger_calls(trigger="PreTokenGeneration", user=person)
        assert call["dropped"] == ["access.sub", "access.scope", "access.exp"]

    def test_aud_may_be_added_to_the_access_token_with_the_own_client_id(
        self, app: App, person: str, probe: Probe
    ) -> None:
        own = sign_in(app, person, probe, accessTokenGeneration=claims(aud=app.client_id))
        other = sign_in(app, person, probe, accessTokenGeneration=claims(aud="another-client"))

        assert own.access_claims["aud"] == app.client_id
        assert "aud" not in other.access_claims


class TestScopes:
    def test_are_added_and_suppressed(self, app: App, person: str, probe: Probe) -> None:
        tokens = sign_in(
            app,
            person,
            probe,
            accessTokenGeneration={
                "scopesToAdd": ["orders/read", "orders/write"],
                "scopesToSuppress": [ADMIN_SCOPE],
            },
        )

        assert tokens.access_claims["scope"].split() == ["orders/read", "orders/write"]
        assert "scope" not in tokens.id_claims

    def test_that_are_taken_away_lock_the_self_service_out(
        self, app: App, pool: UserPool, person: str, probe: Probe
    ) -> None:
        """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetUser.html"""
        block = {"scopesToSuppress": [ADMIN_SCOPE]}

        tokens = sign_in(app, person, probe, accessTokenGeneration=block)

        with pytest.raises(pool.api.exceptions.NotAuthorizedException, match="required scopes"):
            pool.api.get_user(AccessToken=tokens.access_token)


@pytest.fixture(scope="module")
def lite(aws: EmbeddedAws, probe_function: Probe) -> UserPool:
    """A pool of the plan that has no newer version."""
    return UserPool.create(aws, probe_function.arn, pre_token_version="V1_0")


class TestVersionOne:
    def test_changes_the_id_token_and_the_groups_of_both(
        self, lite: UserPool, probe: Probe
    ) -> None:
        name = lite.person()
        details = {
            "claimsToAddOrOverride": {"plan": "gold"},
            "claimsToSuppress": ["email"],
            "groupOverrideDetails": {"groupsToOverride": ["new"]},
        }
        probe.answer(SOURCE, response={"claimsOverrideDetails": details})

        tokens = lite.app().password(name, PASSWORD)

        assert tokens.id_claims["plan"] == "gold"
        assert "email" not in tokens.id_claims
        assert tokens.id_claims["cognito:groups"] == ["new"]
        assert "plan" not in tokens.access_claims
        assert tokens.access_claims["cognito:groups"] == ["new"]

    @pytest.mark.parametrize("value", [7, True, ["a"], {"a": 1}, None])
    def test_takes_strings_only(self, value: Any, lite: UserPool, probe: Probe) -> None:
        details = {"claimsToAddOrOverride": {"plan": value}}
        name = lite.person()
        probe.answer(SOURCE, response={"claimsOverrideDetails": details})

        with pytest.raises(SignInRefused, match="InvalidLambdaResponseException"):
            lite.app().password(name, PASSWORD)

    def test_is_what_a_plain_function_arn_means(self, aws: EmbeddedAws, probe: Probe) -> None:
        pool = UserPool.create(
            aws, probe.arn, triggers=("PreTokenGeneration",), pre_token_version=None
        )
        name = pool.person()
        probe.reset()

        pool.app().password(name, PASSWORD)

        assert probe.event(SOURCE)["version"] == "1"


@pytest.mark.parametrize(
    "response",
    [
        pytest.param([], id="a list for the details"),
        pytest.param({"idTokenGeneration": "x"}, id="a string for a block"),
        pytest.param({"idTokenGeneration": claims(x=None)}, id="a null claim"),
        pytest.param({"idTokenGeneration": claims(x=[[1]])}, id="a list in a list"),
        pytest.param({"idTokenGeneration": claims(x=[{"a": 1}])}, id="an object in a list"),
        pytest.param({"idTokenGeneration": claims(address={"a": 1})}, id="an object for address"),
        pytest.param({"idTokenGeneration": claims(email_verified=[True])}, id="a list for a flag"),
        pytest.param({"idTokenGeneration": {"claimsToSuppress": "x"}}, id="a string to suppress"),
        pytest.param({"accessTokenGeneration": {"scopesToAdd": "x"}}, id="a string of scopes"),
        pytest.param({"accessTokenGeneration": {"scopesToAdd": ["a b"]}}, id="a blank in a scope"),
        pytest.param({"groupOverrideDetails": ["staff"]}, id="a list for the group details"),
        pytest.param({"groupOverrideDetails": {"groupsToOverride": "x"}}, id="a string of groups"),
        pytest.param({"groupOverrideDetails": {"preferredRole": 1}}, id="a number for the role"),
    ],
)
def test_an_answer_of_the_wrong_shape_gives_no_tokens(
    response: Any, app: App, person: str, probe: Probe
) -> None:
    probe.answer(SOURCE, response={"claimsAndScopeOverrideDetails": response})

    with pytest.raises(SignInRefused) as refused:
        app.password(person, PASSWORD)

    assert refused.value.code == "InvalidLambdaResponseException"


def test_both_tokens_tell_of_one_sign_in(app: App, person: str, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/token-revocation.html"""
    tokens = app.password(person, PASSWORD)

    for name in ("origin_jti", "event_id", "auth_time", "sub", "iss"):
        assert tokens.id_claims[name] == tokens.access_claims[name]
    assert tokens.id_claims["jti"] != tokens.access_claims["jti"]
