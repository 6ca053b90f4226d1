"""What an after_login rule did not declare leaves with no request, though it lay before the rule.

Each rule there is, also one that was made a minute ago, runs on the login of its event in which
every field that its manifest does not name holds a marker. Nothing of that may be found in what the
other system receives or in what is logged: method, URL, headers and body, as they are and decoded.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cognito_rules.errors import RuleError
from cognito_rules.fields import FIELDS, OPEN_MAPS
from cognito_rules.login import Login
from cognito_rules.manifest import Manifest
from tests.log_lines import log_lines
from tests.loopback import Received, Server, reply, serving

MANIFESTS = {
    path.parent.name: Manifest.read(path) for path in sorted(Path("functions").glob("*/rule.toml"))
}
# Without a credential none gets out of the account.
RULES = [name for name, m in MANIFESTS.items() if m.stage == "after_login" and m.secrets]

MARKER = "marker-of-{}-"
# Every log line may say which login of whom it is about.
LOGGED = {"transaction.id", "user.user_id"}
# What no rule may send, whatever it declares (class E): they lie where a provider or a careless
# import puts them.
NEVER = {
    "access_token": "never-leaves-1",
    "refresh_token": "never-leaves-2",
    "password_hash": "never-leaves-3",
    "client_secret": "never-leaves-4",
    "session_cookie": "never-leaves-5",
    "saml_assertion": "never-leaves-6",
}
# An answer in which most systems find that all is well.
WELL = {"code": 0, "id": "1", "access_token": "t", "expires_in": 3600, "success": True}
ANSWERS: dict[str, Any] = {
    "create_customer_shopify": WELL | {"data": {"customerSet": {"customer": {"id": "1"}}}},
    "track_login_mixpanel": WELL | {"code": 200},
}
SECRETS = {
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "ZAPIER_HOOK_URL": "https://hooks.zapier.com/hooks/catch/x",
}


def secret(name: str, refresh: bool) -> str:
    if name.endswith("PRIVATE_KEY"):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    return SECRETS.get(name, f"secret-{name}")


def marked(login: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """Return the login with a marker in every field that the manifest does not name."""
    facts: dict[str, Any] = {section: dict(login.get(section, {})) for section in FIELDS}
    for section, fields in FIELDS.items():
        for field in fields:
            path = f"{section}.{field}"
            if manifest.can_read(path):
                continue
            marker = MARKER.format(path)
            if (section, field) in OPEN_MAPS:
                # A manifest may name some keys of such a map: what is beside them is marked.
                facts[section][field] = dict(facts[section].get(field) or {}) | {"other": marker}
            else:
                facts[section][field] = marker
    facts["user"]["identities"] = [
        {"connection": "google-oauth2", "is_social": True, "profile_data": dict(NEVER), **NEVER}
    ]
    for kept in ("user_metadata", "app_metadata"):
        facts["user"][kept] = dict(facts["user"].get(kept) or {}) | NEVER
    return facts


def wire(received: Received) -> str:
    """Return a request as one text, with what JSON, URLs and Base64 write otherwise."""
    body = received.body.decode(errors="replace")
    headers = "\n".join(f"{name}: {value}" for name, value in received.headers.items())
    plain = "\n".join([received.method, received.path, headers, body])
    with contextlib.suppress(ValueError):
        plain += json.dumps(json.loads(body), ensure_ascii=False)
    return "\n".join([plain, unquote_plus(plain), *_from_base64(plain)])


def _from_base64(text: str) -> Iterator[str]:
    for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", text):
        padded = run.replace("-", "+").replace("_", "/") + "=" * (-len(run) % 4)
        with contextlib.suppress(ValueError):
            yield base64.b64decode(padded).decode(errors="replace")


def marks(text: str) -> set[str]:
    """Return the fields whose marker is in a text."""
    return set(re.findall(r"marker-of-([a-z_]+\.[a-z_]+)-", text))


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value that are long enough to be told from others."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str) and len(value) > 5:
        yield value


def ran(name: str, vendor: Server, facts: dict[str, Any], event: dict[str, Any]) -> None:
    """Run a rule on these facts, with the settings of its event, against a vendor on loopback."""
    manifest = MANIFESTS[name]
    known = manifest.settings.from_template
    settings = event.get("configuration", {}) | event.get("template", {})
    settings |= {key: vendor.url for key in ("stand_in", "endpoint") if key in known}
    settings |= {"allow_private_network": True} if "endpoint" in known else {}
    login = Login(facts, configuration=settings, secret=secret)
    # What it makes of the answer is for its own test.
    with contextlib.suppress(RuleError):
        importlib.import_module(f"functions.{name}.app").rule.decide(login)


@pytest.mark.parametrize("name", RULES)
def test_a_request_holds_no_field_that_its_rule_did_not_declare(name: str) -> None:
    event = json.loads(Path(f"events/{name}.json").read_text())
    facts = marked(event["login"], MANIFESTS[name])
    with serving() as vendor, log_lines() as log:
        vendor.replies = [reply(200, ANSWERS.get(name, WELL))]
        ran(name, vendor, facts, event)

    sent = "\n".join(map(wire, vendor.received))
    told = {text for section in ("user", "client") for text in texts(event["login"].get(section))}
    # Else nothing is shown: this rule needs other answers or secrets, above.
    assert any(text in sent for text in told), f"{name} sent nothing of the login"
    assert marks(sent) == set()
    assert marks(log.text) <= LOGGED
    assert [mark for mark in NEVER.values() if mark in sent + log.text] == []


@pytest.mark.parametrize("name", RULES)
def test_no_rule_may_declare_what_never_leaves(name: str) -> None:
    reads = [".".join(read.path) for read in MANIFESTS[name].reads]

    whole = {"*", "user", "user.identities", "user.user_metadata", "user.app_metadata"}
    assert whole.isdisjoint(reads)


@pytest.mark.parametrize(
    "leak",
    [
        Received("/in?x=marker-of-user.email-", {}, b"", 0),
        Received("/in%2Fmarker%2Dof%2Duser%2Eemail%2D", {}, b"", 0),
        Received("/", {"x-person": "marker-of-user.email-"}, b"", 0),
        Received("/", {}, b'{"a": "marker\\u002dof\\u002duser.email-"}', 0),
        Received("/", {"authorization": "Basic bWFya2VyLW9mLXVzZXIuZW1haWwt"}, b"", 0),
        Received("/", {}, b"", 0, "marker-of-user.email-"),
    ],
    ids=["query", "path", "header", "body", "credentials", "method"],
)
def test_a_leak_would_be_found(leak: Received) -> None:
    assert marks(wire(leak)) == {"user.email"}


def test_a_marker_stands_in_every_field_that_is_not_declared() -> None:
    manifest = MANIFESTS["record_signup_keen"]

    found = marks(json.dumps(marked({}, manifest)))

    assert found >= {"user.email", "request.client_metadata", "transaction.id"}
    assert "user.user_id" not in found
