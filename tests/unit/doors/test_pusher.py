"""The endpoint of Pusher's channels: who may join which, and what is signed."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pusher
import pytest

from cognito_rules import ConfigurationError
from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import to_item
from cognito_rules.errors import SecretError
from cognito_rules.pusher_door import MAX_BODY_BYTES, Channels, _door, handler, pusher_door
from cognito_rules.secrets import function_secrets
from cognito_rules.token_denylist import TokenDenylist
from tests.log_lines import LogLines
from tests.loopback import Reply, Server, reply
from tests.pool_tokens import CLIENT, KEYS_PATH, POOL, SUB, AccessToken, published, token

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
SECRETS = {
    "PUSHER_KEY": "app-key",
    "PUSHER_SECRET": "app-secret",
    "PUSHER_ENCRYPTION_MASTER_KEY": MASTER_KEY,
}
SOCKET = "1234.5678"
OWN = f"private-user-{SUB}"
CHANNELS = [
    "private-user-{sub}",
    "presence-team-{group}",
    "private-orders-*:staff",
    "private-encrypted-{sub}",
]


@pytest.fixture(autouse=True)
def pool(amazon: Server) -> None:
    amazon.routes = {KEYS_PATH: reply(200, published("first"))}


def read_secret(secrets: dict[str, str], name: str) -> str:
    if name not in secrets:
        raise SecretError(name, f"the secret holds no text for {name}")
    return secrets[name]


def ask(
    channel: str | None = OWN,
    *,
    socket_id: str | None = SOCKET,
    bearer: str | None = "",
    groups: list[str] | None = None,
    secrets: dict[str, str] = SECRETS,
    denylist: TokenDenylist | None = None,
    changes: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[int, Any]:
    """Return status and body of the answer to a request of a page."""
    given = {"user_pool_id": POOL, "allowed_clients": [CLIENT], "channels": CHANNELS, **settings}
    door = pusher_door(given, lambda name: read_secret(secrets, name), denylist)
    text = token(**({"cognito:groups": groups} if groups else {})) if bearer == "" else bearer
    form = {"socket_id": socket_id, "channel_name": channel}
    event: dict[str, Any] = {
        "headers": {} if text is None else {"authorization": f"Bearer {text}"},
        "body": urlencode({name: value for name, value in form.items() if value is not None}),
    }
    said = door.handle(event | (changes or {}))
    assert said["headers"]["Cache-Control"] == "no-store"
    return said["statusCode"], json.loads(said["body"])


def official(channel: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what Pusher's own client answers for the channel."""
    client = pusher.Pusher(
        "1",
        SECRETS["PUSHER_KEY"],
        SECRETS["PUSHER_SECRET"],
        encryption_master_key_base64=MASTER_KEY,
    )
    signed: dict[str, Any] = client.authenticate(channel, SOCKET, data)
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in signed.items()
    }


# Refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "groups"),
    [
        pytest.param("private-user-somebody-else", ["staff"], id="another person's"),
        pytest.param("presence-team-finance", ["staff"], id="another group's"),
        pytest.param("presence-team-staff", [], id="a group of somebody without groups"),
        pytest.param("private-orders-7", ["guests"], id="what another group may"),
        pytest.param("private-invoices-7", ["staff"], id="what no rule names"),
        pytest.param(f"{OWN}-more", ["staff"], id="one that begins like the own"),
        pytest.param(OWN.upper().replace("PRIVATE", "private"), [], id="another spelling"),
        pytest.param("presence-team-{group}", ["staff"], id="a pattern itself"),
    ],
)
def test_a_channel_that_is_not_the_persons_is_not_signed(channel: str, groups: list[str]) -> None:
    status, said = ask(channel, groups=groups)

    is_channel = "{" not in channel
    assert status == (403 if is_channel else 400)
    assert set(said) == {"error"}


@pytest.mark.parametrize(
    ("channel", "socket_id"),
    [
        pytest.param(OWN, "1.1:private-user-other", id="a channel in the socket id"),
        pytest.param(OWN, "1", id="half a socket id"),
        pytest.param(OWN, "1.1\n", id="a line break behind it"),
        pytest.param(OWN, "", id="an empty socket id"),
        pytest.param(OWN, None, id="no socket id"),
        pytest.param("orders", SOCKET, id="a public channel"),
        pytest.param("private-", "x.y", id="letters for a socket"),
        pytest.param(f"{OWN}:x", SOCKET, id="a colon in the channel"),
        pytest.param("private-" + "a" * 157, SOCKET, id="165 signs"),
        pytest.param("#server-to-user-1", SOCKET, id="a channel of the server"),
        pytest.param("", SOCKET, id="an empty channel"),
        pytest.param(None, SOCKET, id="no channel"),
    ],
)
def test_what_is_no_request_for_a_closed_channel(channel: Any, socket_id: Any) -> None:
    assert ask(channel, socket_id=socket_id) == (400, {"error": "invalid_request"})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"body": f"socket_id=1.1&channel_name={OWN}&channel_name=private-x"}, id="2"),
        pytest.param({"body": json.dumps({"socket_id": SOCKET})}, id="JSON"),
        pytest.param({"body": "a" * (MAX_BODY_BYTES + 1)}, id="too large"),
        pytest.param({"body": "&".join(f"a{n}=1" for n in range(99))}, id="too many fields"),
        pytest.param({"body": "=%", "isBase64Encoded": True}, id="no base64"),
        pytest.param({"body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}, id="x"),
        pytest.param({"body": None}, id="no body"),
    ],
)
def test_a_form_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    assert ask(changes=changes) == (400, {"error": "invalid_request"})


@pytest.mark.parametrize(
    "bearer",
    [
        pytest.param(None, id="no token"),
        pytest.param("abc", id="no JWT"),
        pytest.param(AccessToken({"token_use": "id"}).text, id="an ID token"),
        pytest.param(AccessToken({"exp": 1}).text, id="one that has ended"),
        pytest.param(AccessToken({"client_id": "other"}).text, id="another application's"),
        pytest.param(AccessToken({"iss": "https://evil.example"}).text, id="another pool's"),
        pytest.param(AccessToken(kid="unpublished").text, id="another key's"),
    ],
)
def test_without_a_good_token_nothing_is_signed(bearer: str | None) -> None:
    assert ask(bearer=bearer) == (401, {"error": "unauthorized"})


def test_while_the_pools_keys_cannot_be_fetched_nothing_is_signed(amazon: Server) -> None:
    amazon.routes = {KEYS_PATH: Reply(reset=True)}

    assert ask()[0] == 403


@pytest.mark.parametrize("name", ["PUSHER_KEY", "PUSHER_SECRET"])
def test_without_its_secret_nothing_is_signed(name: str) -> None:
    secrets = {key: value for key, value in SECRETS.items() if key != name}

    assert ask(secrets=secrets) == (500, {"error": "misconfigured"})


@pytest.mark.parametrize("master", [None, "", "no base64", base64.b64encode(b"short").decode()])
def test_an_encrypted_channel_needs_a_master_key(master: str | None) -> None:
    secrets = {key: value for key, value in SECRETS.items() if "MASTER" not in key}
    if master is not None:
        secrets["PUSHER_ENCRYPTION_MASTER_KEY"] = master

    assert ask(f"private-encrypted-{SUB}", secrets=secrets) == (500, {"error": "misconfigured"})


def test_a_cancelled_token_is_refused(amazon: Server) -> None:
    listed = {"pk": "DENY#jti#jti-1", "kind": "jti", "value": "jti-1"}
    amazon.replies = [reply(200, {"Responses": {"profiles": [to_item(listed)]}})]

    assert ask(denylist=TokenDenylist(Aws(), "profiles")) == (403, {"error": "unauthorized"})


def test_while_the_list_cannot_be_read_nothing_is_signed(amazon: Server) -> None:
    amazon.replies = [reply(400, {"__type": "#AccessDeniedException"})]

    assert ask(denylist=TokenDenylist(Aws(), "profiles")) == (503, {"error": "try_again"})


# Signed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "groups"),
    [
        pytest.param(OWN, [], id="the own channel"),
        pytest.param("private-orders-7", ["guests", "staff"], id="what a group may"),
        pytest.param("private-orders-", ["staff"], id="the shortest of these"),
        pytest.param(f"private-encrypted-{SUB}", [], id="an encrypted one"),
    ],
)
def test_the_answer_is_that_of_pushers_own_client(channel: str, groups: list[str]) -> None:
    assert ask(channel, groups=groups) == (200, official(channel))


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        pytest.param(["user_id"], {"user_id": SUB}, id="the id alone"),
        pytest.param(
            ["user_id", "username", "groups"],
            {"user_id": SUB, "user_info": {"username": "jane", "groups": ["staff"]}},
            id="what else is to be shown",
        ),
    ],
)
def test_the_members_of_a_presence_channel_see_what_is_listed(
    fields: list[str], member: dict[str, Any]
) -> None:
    status, said = ask("presence-team-staff", groups=["staff"], presence_fields=fields)

    assert (status, said) == (200, official("presence-team-staff", member))
    assert json.loads(said["channel_data"]) == member


def test_a_form_in_base64(lines: LogLines) -> None:
    form = urlencode({"socket_id": SOCKET, "channel_name": OWN}).encode()
    changes = {"body": base64.b64encode(form).decode(), "isBase64Encoded": True}

    assert ask(changes=changes) == (200, official(OWN))
    [line] = [record for record in lines.records if record["message"] == "pusher channel"]
    assert (line["status"], line["user_id"]) == (200, SUB)
    assert "app-secret" not in json.dumps(lines.records)


# Settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channels",
    [
        pytest.param(["orders"], id="a public channel"),
        pytest.param(["private-*"], id="everything for everybody"),
        pytest.param(["private-*-x:staff"], id="a star in the middle"),
        pytest.param(["private-{user}"], id="an unknown placeholder"),
        pytest.param(["private-"], id="nothing behind the kind"),
        pytest.param(["private-a b"], id="a blank"),
        pytest.param(["private-orders:"], id="a group without a name"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(channels: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="channels"):
        ask(channels=channels)


@pytest.mark.parametrize("version", ["current", "previous"])
def test_the_pair_of_keys_that_signs(
    amazon: Server, aws_environment: pytest.MonkeyPatch, version: str
) -> None:
    given = {"user_pool_id": POOL, "channels": CHANNELS, "key_version": version}
    aws_environment.setenv("PUSHER_SETTINGS", json.dumps(given))
    aws_environment.setenv("ALLOWED_CLIENTS", CLIENT)
    aws_environment.setenv("SECRET_NAMES", json.dumps(dict.fromkeys(SECRETS, "stack/pusher")))
    pairs = {
        stage: reply(200, {"SecretString": json.dumps(SECRETS | {"PUSHER_KEY": f"{stage}-key"})})
        for stage in ("AWSCURRENT", "AWSPREVIOUS")
    }
    amazon.decide = lambda received: (
        pairs[received.json().get("VersionStage", "AWSCURRENT")]
        if received.headers.get("x-amz-target") == "secretsmanager.GetSecretValue"
        else None
    )
    _door.cache_clear()
    function_secrets.cache_clear()

    said = handler(
        {
            "headers": {"authorization": f"Bearer {token()}"},
            "body": urlencode({"socket_id": SOCKET, "channel_name": OWN}),
        },
        None,
    )

    _door.cache_clear()
    function_secrets.cache_clear()
    assert json.loads(said["body"])["auth"].partition(":")[0] == f"AWS{version.upper()}-key"


def test_without_patterns_nobody_joins_anything() -> None:
    assert ask(channels=[])[0] == 403


def test_a_group_whose_name_looks_like_a_pattern_opens_nothing_more() -> None:
    channels = Channels(["private-team-{group}"])

    assert not channels.allow("private-team-finance", SUB, ["*", "{sub}", "fin*"])


def test_an_application_is_required() -> None:
    with pytest.raises(ConfigurationError, match="allowed_clients"):
        ask(allowed_clients=[])
