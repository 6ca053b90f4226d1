"""Deliveries to after_login rules, for tests: what a rule gets, what it sends, what others send."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cognito_rules.login import Login
from cognito_rules.testing import a_login
from tests.loopback import Received, Server, reply, serving

LOGIN_ID = "01JD8Z6V3N4W2B7QK5XGH9T1RM"
EVENT = {
    "id": LOGIN_ID,
    "type": "LoginCompleted",
    "occurred_at": "2026-11-22T09:30:00.123Z",
    "first_login": False,
}
FIRST_LOGIN = EVENT | {"first_login": True}


def a_delivery(
    vendor: Server,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    **known: Any,
) -> Login:
    """Return the login of a delivery whose vendor is ``vendor``."""
    known.setdefault("event", EVENT)
    return a_login(configuration={"stand_in": vendor.url, **settings}, secrets=secrets, **known)


def with_rotated(login: Login, before: Mapping[str, str], after: Mapping[str, str]) -> Login:
    """Return ``login`` with secrets that were rotated a moment ago: reading again tells."""
    return Login(
        login.facts,
        configuration=login.configuration,
        now=login.now,
        secret=lambda name, refresh: (after if refresh else before)[name],
    )


def through_lambdas_door(
    rule: str,
    event: Mapping[str, Any],
    vendor: Server | None,
    secrets: Mapping[str, str],
) -> Any:
    """Return what a rule answers in a process of its own, with the variables of its stanza.

    ``vendor`` is the rule's stand-in; None for a rule whose address is a setting of the template.
    """
    script = (
        f"import json, sys; from functions.{rule}.app import rule; "
        "answer = rule(json.load(sys.stdin), None); print(json.dumps(answer))"
    )
    template = {**event.get("template", {})} | ({"stand_in": vendor.url} if vendor else {})
    with serving() as secrets_manager:
        secrets_manager.replies = [reply(200, {"SecretString": json.dumps(dict(secrets))})]
        environment = {
            "PYTHONPATH": f"layers/core{os.pathsep}.",
            "RULE_SETTINGS": json.dumps(template),
            "SECRET_NAMES": json.dumps(dict.fromkeys(secrets, "cognito-rules/vendor")),
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets_manager.url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }
        finished = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(event),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert {r.json()["SecretId"] for r in secrets_manager.received} == {"cognito-rules/vendor"}
    return json.loads(finished.stdout.splitlines()[-1])


# -- what our rule sends beside what the vendor's own client sends ---------------------------------


def facts_of(received: Received) -> dict[str, Any]:
    """Return what counts in a request: method, path, query, credentials, type and body."""
    url = urlsplit(received.path)
    kind = received.headers.get("content-type", "").partition(";")[0]
    body: Any = received.body.decode()
    if kind == "application/json" and body:
        body = json.loads(body)
    elif kind == "application/x-www-form-urlencoded":
        body = dict(parse_qsl(body))
    return {
        "method": received.method,
        "path": url.path,
        "query": dict(parse_qsl(url.query)),
        "authorization": received.headers.get("authorization"),
        "content-type": kind,
        "body": body,
    }


def differences(theirs: Any, ours: Any) -> set[str]:
    """Return the dotted paths at which two requests differ."""
    left, right = dict(_leaves(theirs)), dict(_leaves(ours))
    return {path for path in left.keys() | right.keys() if left.get(path) != right.get(path)}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}.{index}" if path else str(index))
    elif value not in (None, {}, []):
        yield path, value
