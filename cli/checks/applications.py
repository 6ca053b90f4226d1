"""App clients: ways in that are weaker than the login page, and what people can write there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cli.checks import Finding, check, error, warning
from cli.checks.subject import Subject
from cognito_rules.fields import meets

_PASSWORD_FLOWS = {
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "USER_PASSWORD_AUTH",
    "ADMIN_NO_SRP_AUTH",
}
_CUSTOM_FLOWS = {"ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY"}
# What an empty list stands for.
_DEFAULT_FLOWS = {"ALLOW_CUSTOM_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
_PASSWORDLESS = {"EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"}
# With it an access token is good for Cognito's own API.
_API_SCOPE = "aws.cognito.signin.user.admin"
_SOCIAL = {"Facebook", "Google", "LoginWithAmazon", "SignInWithApple"}
_VERIFIED = {"email": "email_verified", "phone_number": "phone_number_verified"}


def _named(client: Mapping[str, Any]) -> str:
    return f"{client.get('ClientName') or 'app client'} ({client['ClientId']})"


def _flows(client: Mapping[str, Any]) -> set[str]:
    return set(client.get("ExplicitAuthFlows") or _DEFAULT_FLOWS)


def _is_of_machines(client: Mapping[str, Any]) -> bool:
    return set(client.get("AllowedOAuthFlows") or ()) == {"client_credentials"}


def _lets_people_write(subject: Subject, client: Mapping[str, Any]) -> bool:
    """Say whether people can call Cognito's API through the client, to write attributes.

    Where a provider's mapping fills an attribute the client has to have it as writable; then it is
    safe only if nobody signs up or in by the API, and tokens lack Cognito's own scope.
    """
    signs_up = not (subject.pool.get("AdminCreateUserConfig") or {}).get("AllowAdminCreateUserOnly")
    signs_in = bool(_flows(client) - {"ALLOW_REFRESH_TOKEN_AUTH"})
    return signs_up or signs_in or _API_SCOPE in (client.get("AllowedOAuthScopes") or ())


def _reads(subject: Subject, *path: str) -> list[str]:
    """Return the ids of the entries in force that read a field."""
    return [
        entry.id
        for entry in subject.enforced
        if any(meets(read.path, path) for read in entry.manifest.reads)
    ]


@check
def password_flows(subject: Subject) -> Iterator[Finding]:
    """No app client takes a password past the login page and its MFA."""
    guarded = {
        name
        for entry in subject.enforced
        if entry.manifest.name == "disable_password_grant"
        for name in entry.when.applications or ()
    }
    for client in subject.clients:
        open_flows = _flows(client) & _PASSWORD_FLOWS
        application = subject.chain and subject.chain.applications.get(client["ClientId"])
        names = {client["ClientId"], "*"} | ({application.name} if application else set())
        if open_flows and not names & guarded:
            yield warning(
                f"{_named(client)} allows {', '.join(sorted(open_flows))}",
                "Take the flow off the client, or let the rule disable_password_grant refuse it.",
            )


@check
def client_secret(subject: Subject) -> Iterator[Finding]:
    """App clients for servers have a secret."""
    for client in subject.clients:
        open_flows = _flows(client) & {"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"}
        if open_flows and not client.get("ClientSecret"):
            yield warning(
                f"{_named(client)} is for a server ({', '.join(open_flows)}) and has no secret",
                "Make a client with a secret: anybody else can use this one's id.",
            )


@check
def custom_flows(subject: Subject) -> Iterator[Finding]:
    """Custom challenges run only where the pool has triggers for them."""
    has_triggers = "DefineAuthChallenge" in (subject.pool.get("LambdaConfig") or {})
    for client in subject.clients:
        if _flows(client) & _CUSTOM_FLOWS and not _is_of_machines(client):
            if has_triggers:
                yield warning(
                    f"{_named(client)} allows CUSTOM_AUTH, where the pool's own challenge triggers "
                    "decide what is asked, a password or not",
                    "Make sure that the triggers ask enough, or take the flow off the client.",
                )
            elif client.get("ExplicitAuthFlows"):
                yield warning(
                    f"{_named(client)} allows CUSTOM_AUTH, and the pool has no triggers for it",
                    "Take ALLOW_CUSTOM_AUTH off the client.",
                )


@check
def choice_based_sign_in(subject: Subject) -> Iterator[Finding]:
    """A mailed or texted code alone signs nobody in where a second factor is expected."""
    policy = (subject.pool.get("Policies") or {}).get("SignInPolicy") or {}
    factors = _PASSWORDLESS & set(policy.get("AllowedFirstAuthFactors") or ())
    codes = sorted(factors - {"WEB_AUTHN"})
    for client in subject.clients:
        if "ALLOW_USER_AUTH" in _flows(client) and codes:
            yield warning(
                f"{_named(client)} allows USER_AUTH, where {', '.join(codes)} is enough to sign in",
                "Take the factor off the pool's sign-in policy, or the flow off the client.",
            )


@check
def federation_only(subject: Subject) -> Iterator[Finding]:
    """Where the login page offers no passwords, the API takes none either."""
    for client in subject.clients:
        offered = set(client.get("SupportedIdentityProviders") or ["COGNITO"])
        open_flows = _flows(client) - {"ALLOW_REFRESH_TOKEN_AUTH"}
        if "COGNITO" not in offered and open_flows:
            yield warning(
                f"{_named(client)} offers {', '.join(sorted(offered))} only, and local users sign "
                f"in by the API all the same ({', '.join(sorted(open_flows))})",
                "Set the client's ExplicitAuthFlows to ALLOW_REFRESH_TOKEN_AUTH alone.",
            )


@check
def implicit_flow(subject: Subject) -> Iterator[Finding]:
    """No application receives tokens in an address."""
    for client in subject.clients:
        if "implicit" in (client.get("AllowedOAuthFlows") or ()):
            yield warning(
                f"{_named(client)} allows the implicit flow: tokens stand in addresses and logs",
                "Use the code flow with PKCE.",
            )


@check
def token_revocation(subject: Subject) -> Iterator[Finding]:
    """A stolen refresh token can be revoked."""
    for client in subject.clients:
        if client.get("EnableTokenRevocation") is False and not _is_of_machines(client):
            yield warning(
                f"{_named(client)} has token revocation off: its sessions have no id, and "
                "`cognito-rules revoke` cannot end one",
                "Set EnableTokenRevocation on the client.",
            )


@check
def user_existence(subject: Subject) -> Iterator[Finding]:
    """A wrong password and an unknown name look alike."""
    for client in subject.clients:
        hides = client.get("PreventUserExistenceErrors") == "ENABLED"
        if not hides and not _is_of_machines(client):
            yield warning(
                f"{_named(client)} tells whether somebody has an account",
                "Set PreventUserExistenceErrors to ENABLED on the client.",
            )


@check
def writable_attributes(subject: Subject) -> Iterator[Finding]:
    """People write no attribute that rules believe."""
    settings = subject.pool.get("UserAttributeUpdateSettings") or {}
    verified_first = settings.get("AttributesRequireVerificationBeforeUpdate") or ()
    for client in subject.clients:
        if _is_of_machines(client) or not _lets_people_write(subject, client):
            continue
        written = set(client.get("WriteAttributes") or ())
        for attribute in sorted(written):
            if attribute.startswith("custom:"):
                readers = _reads(subject, "user", "attributes", attribute)
                if readers:
                    yield error(
                        f"{_named(client)} lets people write {attribute}, which "
                        f"{', '.join(readers)} reads",
                        "Take it out of the client's WriteAttributes; where a provider's mapping "
                        "needs it there, allow no sign-up, no flow and no scope of Cognito's API.",
                    )
        # Without a list, a client writes every standard attribute.
        for attribute, proof in _VERIFIED.items():
            writes = attribute in written or not written
            readers = _reads(subject, "user", attribute)
            if writes and readers and attribute not in verified_first:
                yield warning(
                    f"{_named(client)} lets people change {attribute} before it is verified, and "
                    f"{', '.join(readers)} reads it",
                    f"Let the pool verify {attribute} before an update "
                    f"(AttributesRequireVerificationBeforeUpdate), or let rules ask for {proof}.",
                )


@check
def readable_attributes(subject: Subject) -> Iterator[Finding]:
    """What is taken out of tokens is not to be had from the userInfo endpoint."""
    removed = {
        entry.id: entry.configuration.get("claims") or ()
        for entry in subject.enforced
        if entry.manifest.name == "remove_claims"
    }
    schema = [attribute["Name"] for attribute in subject.pool.get("SchemaAttributes") or ()]
    standard = [name for name in schema if ":" not in name]
    for client in subject.clients:
        if _is_of_machines(client):
            continue
        # Without a list, a client reads every standard attribute.
        readable = client.get("ReadAttributes") or standard
        for entry_id, patterns in removed.items():
            left = sorted(
                name for name in readable if any(fnmatchcase(name, pattern) for pattern in patterns)
            )
            if left:
                yield warning(
                    f"{entry_id} takes {', '.join(left)} out of tokens, and {_named(client)} may "
                    "read it from userInfo and GetUser",
                    "Take the attributes out of the client's ReadAttributes.",
                )


@check
def provider_mapping(subject: Subject) -> Iterator[Finding]:
    """Identity providers say whether an address is verified, and no social one sets roles."""
    for provider in subject.providers:
        mapping = provider.get("AttributeMapping") or {}
        for attribute in sorted(mapping if provider.get("ProviderType") in _SOCIAL else ()):
            readers = _reads(subject, "user", "attributes", attribute)
            if attribute.startswith("custom:") and readers:
                yield error(
                    f"{provider['ProviderName']} fills {attribute} with what people write in their "
                    f"profile there, and {', '.join(readers)} reads it",
                    "Take the attribute out of the provider's mapping.",
                )
        for attribute, proof in _VERIFIED.items():
            if attribute in mapping and proof not in mapping:
                readers = _reads(subject, "user", proof)
                if readers:
                    yield warning(
                        f"{provider['ProviderName']} maps {attribute} without {proof}: its people "
                        f"are unverified to {', '.join(readers)}",
                        f"Map {proof} too, if the provider can be believed.",
                    )


@check
def registered_applications(subject: Subject) -> Iterator[Finding]:
    """The chain document and the pool know the same app clients."""
    if subject.chain is None:
        return
    clients = {client["ClientId"]: client for client in subject.clients}
    for client_id, client in clients.items():
        if client_id in subject.chain.applications:
            continue
        if subject.chain.refuses_unregistered:
            yield warning(
                f"{_named(client)} is not in the chain: nobody logs in there",
                f"Add [applications.{client_id}] to the chain document, or delete the client.",
            )
        elif any("*" not in (entry.when.applications or ("*",)) for entry in subject.enforced):
            yield warning(
                f"{_named(client)} is not in the chain: entries for named applications do not run",
                f"Add [applications.{client_id}] to the chain document, or set "
                'unregistered_applications = "refuse".',
            )
    for client_id, application in subject.chain.applications.items():
        if client_id not in clients:
            yield warning(
                f"The chain names {application.name} ({client_id}), which the pool does not have",
                "Correct the id: entries for that name run for nobody.",
            )
