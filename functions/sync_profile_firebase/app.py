"""Keep each person's profile in a Firebase Realtime Database current."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.federated_account import FederatedAccount, federated_token
from cognito_rules.http import AFTER_LOGIN, Answer, Endpoint, encode, send
from cognito_rules.people import person_id
from cognito_rules.service_account import ServiceAccount, service_account_token

SCOPES = [
    "https://www.googleapis.com/auth/firebase.database",
    "https://www.googleapis.com/auth/userinfo.email",
]

# Both calls have to fit into the rule's time, and the token's a second time.
TOKEN = AFTER_LOGIN.within(2.5)
WRITE = AFTER_LOGIN.within(5.0)

# What no key of the database may hold, and what stands for it.
ILLEGAL = re.compile(r"[.$#\[\]/%\x00-\x1f\x7f]")

# URL -> (digest of what was written there, time of its login in seconds since the epoch), the
# latest last.
_written: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
MAX_WRITTEN = 1000
REMEMBERED_SECONDS = 3600


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Write the listed fields into the person's node, and leave everything else in it alone.

    The old rule put a whole user there, which erased what else lay below the person. Logins can be
    told late: one that is older than what this function wrote is left out, as far as its memory
    goes.

    Reads:  ``login.event``, ``login.user`` (user_id, email, email_verified, name, nickname,
            picture, app_metadata.legacy_user_id).
    Writes: nothing.
    Source: Auth0 rules, "update-firebase-user"; Firebase docs, "Database REST API", "Authenticate
            REST Requests", "Structure your database" (keys); see
            ``cognito_rules.federated_account`` for tokens without a key.
    """
    endpoint = _endpoint(login.configuration, _path(login))
    body = encode(_values(login))
    digest = sha256(body).digest()
    known, at = _written.get(endpoint.url, (b"", 0.0))
    age = login.now.timestamp() - at
    if age < 0:
        effects.warn("older_than_written")
        return
    if login.configuration["only_if_changed"] and known == digest and age < REMEMBERED_SECONDS:
        effects.warn("unchanged")
        return
    _patch(login, endpoint, body)
    _remember(login, endpoint.url, digest)


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Take the fields that this rule writes out of the person's node; what else is there stays.

    Reads:  ``login.user`` (user_id, app_metadata.legacy_user_id).
    Source: Firebase docs, "Database REST API" (a null takes a field out).
    """
    endpoint = _endpoint(login.configuration, _path(login))
    _patch(login, endpoint, encode(dict.fromkeys(login.configuration["fields"])))
    _written.pop(endpoint.url, None)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a path that is the same for everybody, half an account, and a stand-in of none."""
    if "{key}" not in configuration["path"]:
        raise ConfigurationError("path needs {key}, or everybody is written to one place")
    if bool(configuration["identity_provider"]) != bool(configuration["service_account"]):
        raise ConfigurationError(
            "identity_provider and service_account belong together: deploy with both "
            "FirebaseIdentityProvider and FirebaseServiceAccount, or with a key in the secret"
        )
    _endpoint(configuration, "/")


def _endpoint(settings: dict[str, Any], path: str) -> Endpoint:
    host = urlsplit(settings["database_url"]).netloc
    return vendor_endpoint(host, path, stand_in=settings["stand_in"])


def _path(login: Login) -> str:
    settings = login.configuration
    path = settings["path"].replace("{key}", _key(login, settings["key_style"]))
    return f"{path}.json?print=silent"


def _key(login: Login, style: str) -> str:
    """Return the person's key, as it stands in a URL."""
    if style == "sub":
        plain = str(login.user.user_id)
        return quote(ILLEGAL.sub(lambda found: f"%{ord(found[0]):02X}", plain), safe="")
    old = person_id(login, "legacy_user_id").encode()
    if style == "base64_exact":
        return quote(b64encode(old).decode(), safe="/+=")
    return quote(urlsafe_b64encode(old).decode(), safe="=")


def _values(login: Login) -> dict[str, Any]:
    settings = login.configuration
    known = {name: login.at(f"user.{name}", None) for name in settings["fields"]}
    if settings["clear_missing"]:
        return known  # a null takes a field out
    return {name: value for name, value in known.items() if value is not None}


def _patch(login: Login, endpoint: Endpoint, body: bytes) -> None:
    answer = send(
        "PATCH",
        endpoint,
        body,
        budget=WRITE,
        authorize=lambda refresh: _authorize(login, refresh),
        repeatable=True,
        busy=_was_contended,
        about={"login_id": login.event.id or None},
    )
    _check(answer)


def _authorize(login: Login, refresh: bool) -> dict[str, str]:
    def account(again: bool) -> ServiceAccount:
        return ServiceAccount(
            login.secret("FIREBASE_CLIENT_EMAIL", refresh=again),
            login.secret("FIREBASE_PRIVATE_KEY", refresh=again),
            login.secret("FIREBASE_PRIVATE_KEY_ID", refresh=again),
        )

    settings = login.configuration
    stand_in = settings["stand_in"]
    if settings["identity_provider"]:
        federated = FederatedAccount(settings["service_account"], settings["identity_provider"])
        token = federated_token(federated, SCOPES, stand_in=stand_in, budget=TOKEN, renew=refresh)
        return {"Authorization": f"Bearer {token}"}
    token = service_account_token(account, SCOPES, stand_in=stand_in, budget=TOKEN, renew=refresh)
    return {"Authorization": f"Bearer {token}"}


def _was_contended(answer: Answer) -> float | None:
    return 0.0 if answer.status == 412 else None


def _check(answer: Answer) -> None:
    if answer.is_success:
        return
    if answer.status in (400, 404):
        message = f"Firebase answered {answer.status}: look at database_url, path and key_style"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    raise answer.refusal()


def _remember(login: Login, url: str, digest: bytes) -> None:
    _written[url] = digest, login.now.timestamp()
    _written.move_to_end(url)
    if len(_written) > MAX_WRITTEN:
        _written.popitem(last=False)
