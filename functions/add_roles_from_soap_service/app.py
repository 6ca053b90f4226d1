"""Ask a SOAP service for a person's roles."""

from typing import Any

from cognito_rules import Effects, Login, lambda_rule
from cognito_rules.asked_roles import add_roles, check_roles, role_claims
from cognito_rules.client_certificate import ClientCertificate
from cognito_rules.endpoint import Endpoint
from cognito_rules.http import basic_credentials
from cognito_rules.kept_answers import question
from cognito_rules.soap import call, check_template, fill, texts_at, username_token

KEY = "soap_roles"
PLACEHOLDERS = ["user_id", "email"]
# What decides about the answer; the person's own values are added.
ASKED_BY = ("endpoint", "soap_action", "body_template", "role_path", "role_pattern", "max_roles")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Add the roles that the service names for this very person.

    An address that nobody proved is nobody's: where the service is asked by address, such a person
    gets no roles and no question is sent.

    Reads:  ``login.user`` (user_id, email, email_verified, app_metadata.soap_roles),
            ``login.authorization``.
    Writes: ``set_claim`` on the tokens in ``targets``, ``set_authorization``, the answer in
            ``app_metadata.soap_roles``; ``deny`` with code ``roles_unavailable``.
    Source: Auth0 rules, "soap-webservice"; W3C, "Simple Object Access Protocol (SOAP) 1.1".
    """
    settings = login.configuration
    asks_by_email = "{email}" in settings["body_template"]
    if asks_by_email and not (login.user.email and login.user.email_verified is True):
        return
    known = {"user_id": str(login.user.user_id or ""), "email": str(login.user.email or "")}
    person = {name: known[name] for name in PLACEHOLDERS if f"{{{name}}}" in _body(settings)}
    asked = question(person, *(settings[name] for name in ASKED_BY))
    add_roles(login, effects, KEY, asked, lambda: _roles(login, person))


def _roles(login: Login, person: dict[str, str]) -> list[str]:
    settings = login.configuration
    user, password = "SOAP_USERNAME", "SOAP_PASSWORD"
    kind, header, authorize, shown = settings["authentication"], "", None, None
    if kind == "ws_security":
        header = username_token(login.secret(user), login.secret(password))
    elif kind == "basic":

        def authorize(refresh: bool) -> dict[str, str]:
            return basic_credentials(
                login.secret(user, refresh=refresh), login.secret(password, refresh=refresh)
            )

    elif kind == "certificate":
        shown = ClientCertificate(
            login.secret("SOAP_CERTIFICATE"), login.secret("SOAP_PRIVATE_KEY")
        )

    answered = call(
        _endpoint(settings),
        fill(_body(settings), person),
        action=settings["soap_action"],
        header=header,
        authorize=authorize,
        client_certificate=shown,
        ca_bundle=settings["ca_bundle"],
        seconds=settings["timeout_ms"] / 1000,
    )
    return texts_at(answered, settings["role_path"])


def _body(settings: dict[str, Any]) -> str:
    return str(settings["body_template"])


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    return Endpoint.parse(
        settings["endpoint"],
        allowed_hosts=None,
        allow_private_network=settings["allow_private_network"],
    )


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a body that is the same for everybody or no XML, and what no role claim can be."""
    check_roles(configuration)
    check_template(_body(configuration), PLACEHOLDERS)
    _endpoint(configuration)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    return role_claims(configuration)
