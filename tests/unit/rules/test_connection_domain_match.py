from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.identity_providers import function_identity_providers
from cognito_rules.testing import a_login
from functions.connection_domain_match.app import rule
from tests.loopback import Reply, Server, reply

MISMATCH, BROKEN = "email_domain_mismatch", "connection_misconfigured"
TENANT = {"tenant_domain": "contoso.com"}
ALIAS = {"domain_aliases": ["contoso.com"]}


def decide(
    email: Any,
    connection: Any = TENANT,
    name: str = "Contoso",
    verified: Any = None,
    **settings: Any,
) -> Effects:
    user = {"email": email, "email_verified": verified, "identities": [{"connection": name}]}
    configuration = {"connections": {"Contoso": connection}, **settings}
    return rule.decide(a_login(user=user, connection={"name": name}, configuration=configuration))


@pytest.mark.parametrize(
    ("email", "connection", "code"),
    [
        pytest.param("me@contoso.com", {}, None, id="no domain configured"),
        pytest.param("me@contoso.com", TENANT | ALIAS, None, id="tenant and alias"),
        pytest.param("me@notcontoso.com", TENANT | ALIAS, MISMATCH, id="a longer domain"),
        pytest.param("x”@contoso.com@whatever”@gmail.com", TENANT, MISMATCH, id="many at signs"),
        pytest.param("me@otherdomain.com", TENANT, MISMATCH, id="another domain"),
        pytest.param("me@eu.contoso.com", TENANT, MISMATCH, id="below the domain"),
        pytest.param("me@contoso.com", TENANT, None, id="the tenant's domain alone"),
        pytest.param("me@contoso.com", ALIAS, BROKEN, id="an alias alone"),
        pytest.param("me@contoso.com", {"tenant_domain": "Contoso.com"}, None, id="in capitals"),
        pytest.param("ME@CONTOSO.COM.", TENANT, None, id="an address in capitals, with a dot"),
        pytest.param(None, TENANT, MISMATCH, id="no address"),
        pytest.param("", TENANT, MISMATCH, id="an empty address"),
    ],
)
def test_who_gets_in(email: Any, connection: dict[str, Any], code: str | None) -> None:
    assert decide(email, connection).denied_with == code


def test_aliases_alone_can_be_enough() -> None:
    assert decide("me@contoso.com", ALIAS, require_tenant_domain=False).denied_with is None


@pytest.mark.parametrize(
    ("name", "settings", "code"),
    [
        pytest.param("COGNITO", {}, None, id="a local account"),
        pytest.param("COGNITO", {"unknown_connection": "deny"}, None, id="a local one always"),
        pytest.param("Google", {}, None, id="a connection that is not listed"),
        pytest.param("Google", {"unknown_connection": "deny"}, MISMATCH, id="unless that is asked"),
        pytest.param("contoso", {"unknown_connection": "deny"}, MISMATCH, id="another spelling"),
    ],
)
def test_who_is_not_asked(name: str, settings: dict[str, Any], code: str | None) -> None:
    assert decide("me@elsewhere.com", name=name, **settings).denied_with == code


@pytest.mark.parametrize(
    ("verified", "code"),
    [
        pytest.param(True, None, id="verified"),
        pytest.param(False, MISMATCH, id="not verified"),
        pytest.param(None, MISMATCH, id="of nobody knows what"),
    ],
)
def test_an_address_when_it_must_be_verified(verified: Any, code: str | None) -> None:
    effects = decide("me@contoso.com", verified=verified, require_verified=True)

    assert effects.denied_with == code


@pytest.mark.parametrize(
    ("email", "code"),
    [
        pytest.param("me@contoso.com", None, id="of one connection"),
        pytest.param("me@fabrikam.com", None, id="of the other"),
        pytest.param("me@gmail.com", MISMATCH, id="of neither"),
    ],
)
def test_of_two_linked_identities_the_address_is(email: str, code: str | None) -> None:
    identities = [{"connection": name} for name in ("Contoso", "Fabrikam", "COGNITO")]
    table = {"Contoso": TENANT, "Fabrikam": {"tenant_domain": "fabrikam.com"}}

    effects = rule.decide(
        a_login(
            user={"email": email, "identities": identities}, configuration={"connections": table}
        )
    )

    assert effects.denied_with == code


def test_an_identity_that_nobody_can_read_is_not_asked() -> None:
    login = a_login(email="me@contoso.com", configuration={"connections": {"Contoso": TENANT}})

    assert rule.decide(login).items == []


# Domains that the pool's identity providers have as identifiers ----------------------------------

POOL = "eu-west-1_Example01"
NO_PROVIDER = reply(400, {"__type": "ResourceNotFoundException"})
UNREADABLE = "identity_provider_unreadable"


@pytest.fixture
def pool(amazon: Server) -> Iterator[Server]:
    function_identity_providers.cache_clear()
    yield amazon
    function_identity_providers.cache_clear()


def identifiers(*texts: str) -> Reply:
    return reply(200, {"IdentityProvider": {"IdpIdentifiers": list(texts)}})


def by_identifiers(email: Any, names: Sequence[str] = ("Contoso",), **settings: Any) -> Effects:
    return rule.decide(
        a_login(
            user={"email": email, "identities": [{"connection": name} for name in names]},
            connection={"name": names[0]} if len(names) == 1 else {},
            transaction={"user_pool_id": POOL},
            configuration={"source": "idp_identifiers", "connections": {}, **settings},
        )
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(reset=True), id="is down"),
        pytest.param(Reply(delay=1.0), id="is silent"),
        pytest.param(reply(400, {"__type": "TooManyRequestsException"}), id="has no time"),
        pytest.param(reply(400, {"__type": "AccessDeniedException"}), id="may not be asked"),
    ],
)
def test_a_provider_that_was_never_read_refuses_while_the_api(pool: Server, answer: Reply) -> None:
    pool.replies = [answer]

    [denial] = by_identifiers("me@contoso.com", unknown_connection="allow").items

    assert (denial["code"], denial["public_code"]) == (UNREADABLE, "try_again")


def test_a_provider_that_was_read_is_remembered(pool: Server) -> None:
    pool.replies = [identifiers("contoso.com")]

    codes = [by_identifiers(email).denied_with for email in ("a@contoso.com", "a@gmail.com")]

    assert codes == [None, MISMATCH]
    assert [r.json() for r in pool.received] == [{"UserPoolId": POOL, "ProviderName": "Contoso"}]


@pytest.mark.parametrize(
    ("email", "answer", "settings", "code"),
    [
        pytest.param("me@contoso.com", identifiers("Contoso.com", "co"), {}, None, id="its own"),
        pytest.param("me@b.com", identifiers("a.com", "b.com"), {}, None, id="another of its own"),
        pytest.param("me@eu.a.com", identifiers("a.com"), {}, MISMATCH, id="below one"),
        pytest.param(None, identifiers("a.com"), {}, MISMATCH, id="no address"),
        pytest.param("me@b.com", identifiers("employees"), {}, None, id="a word is no domain"),
        pytest.param(
            "me@b.com", identifiers("a.com", "j@b.com", "b. com"), {}, MISMATCH, id="nor is that"
        ),
        pytest.param("me@b.com", identifiers(), {}, None, id="a provider without identifiers"),
        pytest.param("me@b.com", reply(200, {"IdentityProvider": {}}), {}, None, id="nor a list"),
        pytest.param("me@b.com", NO_PROVIDER, {}, None, id="a provider that is gone"),
        pytest.param(
            "me@b.com", NO_PROVIDER, {"unknown_connection": "deny"}, MISMATCH, id="unless asked"
        ),
    ],
)
def test_identifiers_are_domains(
    pool: Server, email: Any, answer: Reply, settings: dict[str, Any], code: str | None
) -> None:
    pool.replies = [answer]

    assert by_identifiers(email, **settings).denied_with == code


def test_of_linked_identities_each_provider_is_asked_and_the_local_one_is_none(
    pool: Server,
) -> None:
    pool.replies = [identifiers("contoso.com"), identifiers("fabrikam.com")]

    effects = by_identifiers("me@fabrikam.com", ("COGNITO", "Contoso", "Fabrikam"))

    assert effects.items == []
    assert len(pool.received) == 2


def test_a_local_account_asks_no_provider(pool: Server) -> None:
    assert by_identifiers("me@gmail.com", ("COGNITO",), unknown_connection="deny").items == []
    assert pool.received == []


def test_accounts_that_do_not_match_are_never_made() -> None:
    assert rule.manifest.runs_on_sign_up


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"connections": {"Contoso": {"tenant_domain": "a b"}}}, id="no domain"),
        pytest.param({"connections": {"Contoso": {"domain_aliases": ["a@b.c"]}}}, id="an address"),
        pytest.param({"connections": {"Contoso": {"domain": "b.c"}}}, id="an unknown setting"),
        pytest.param({"unknown_connection": "ask"}, id="an unknown way"),
        pytest.param({"connections": {}}, id="no connection, which would ask nobody"),
        pytest.param({"source": "idp_identifiers"}, id="a table that nobody looks at"),
        pytest.param({"source": "saml_metadata"}, id="an unknown source"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    configuration = {"connections": {"Contoso": TENANT}, **settings}

    with pytest.raises(ConfigurationError):
        rule.decide(a_login(email="me@contoso.com", configuration=configuration))
