"""A person who is to be forgotten, from the command to the systems that were told of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.commands import run
from tests.local.stack.conftest import CHAIN, STAFF
from tests.local.stack.outside import about, consent, put_secrets, stack_name
from tests.local.stack.tables import items_of
from tests.loopback import Reply, Server, reply
from tests.moments import wait_for

TELLING = (
    CHAIN
    + """
[[rules]]
rule = "sync_contact_hubspot"
[[rules]]
rule = "upsert_contact_intercom"
"""
)
GDPR_DELETE = "/crm/objects/2026-09/contacts/gdpr-delete"
INTERCOM = "/contacts/find_by_external_id/"


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack, vendors: Server) -> Iterator[None]:
    put_secrets(
        stack,
        {
            "hubspot": {"HUBSPOT_ACCESS_TOKEN": "word"},
            "intercom": {"INTERCOM_ACCESS_TOKEN": "word"},
        },
    )
    vendors.routes = {
        GDPR_DELETE: Reply(204, b""),
        "/crm/objects/2026-09/contacts": reply(201, {"id": "501"}),
        INTERCOM: reply(200, {"id": "c1", "external_id": "known"}),
        "/contacts/c1": reply(200, {"id": "c1", "deleted": True}),
    }
    stack.use_chain(TELLING)
    yield
    stack.use_chain(CHAIN)


def kept(stack: Stack, person: Person) -> dict[str, Any]:
    """Return what the profiles table holds of a person, by key."""
    found = items_of(stack, "ProfilesTable")
    return {item["pk"]: item for item in found if person.user_id in item["pk"]}


def test_whoever_is_forgotten_is_gone_here_and_there(
    stack: Stack, app: App, new_person: Callable[..., Person], vendors: Server
) -> None:
    person = new_person(groups=[STAFF])
    consent(stack, person, "marketing")
    app.srp(person.username, person.password)
    marker = f"ONCE#{person.user_id}#sync_contact_hubspot"
    wait_for(lambda: kept(stack, person).get(marker, {}).get("known_as") == "501", seconds=60)
    wait_for(lambda: any(r.path.startswith(INTERCOM) for r in about(person, vendors)), seconds=60)

    command = ("forget", person.username, "--yes", "--json", "--stack", stack_name(stack))
    result = run(stack, *command)

    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {
            "user_id": person.user_id,
            "outcome": "forgotten",
            "told": ["sync_contact_hubspot", "upsert_contact_intercom"],
            "by_hand": ["record_events_splunk"],
        },
    )
    assert set(kept(stack, person)) == {f"FORGOTTEN#{person.user_id}"}
    cognito = stack.aws.client("cognito-idp")
    with pytest.raises(cognito.exceptions.UserNotFoundException):
        cognito.admin_get_user(UserPoolId=stack.pool_id, Username=person.username)
    wait_for(lambda: any(r.method == "DELETE" for r in list(vendors.received)), seconds=60)
    wait_for(lambda: any(r.path == GDPR_DELETE for r in list(vendors.received)), seconds=60)
    [deleted] = [r for r in list(vendors.received) if r.path == GDPR_DELETE]
    assert deleted.json() == {"objectId": "501"}

    again = run(stack, "forget", person.user_id, "--yes", "--stack", stack_name(stack))

    assert (again.exit_code, again.stdout) == (0, "The person was forgotten before.\n")


def test_nobody_is_forgotten_by_mistake(stack: Stack, new_person: Callable[..., Person]) -> None:
    person = new_person()

    declined = run(stack, "forget", person.username, "--stack", stack_name(stack), given="n\n")
    unknown = run(stack, "forget", "stranger", "--yes", "--stack", stack_name(stack))

    assert declined.exit_code == 1
    found = stack.aws.client("cognito-idp").admin_get_user(
        UserPoolId=stack.pool_id, Username=person.username
    )
    assert found["Enabled"]
    assert unknown.exit_code == 2
    assert "The pool has no stranger: of an account that is gone, give the sub." in unknown.stderr
