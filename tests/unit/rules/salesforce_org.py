"""A Salesforce org on loopback, and the person of whom a lead is made, for the tests of leads."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from cognito_rules.login import Login
from tests.deliveries import a_delivery
from tests.loopback import Received, Reply, Server, reply, serving

SECRETS = {"SALESFORCE_CLIENT_ID": "client-1", "SALESFORCE_CLIENT_SECRET": "word-1"}
USER = {"user_id": "u1", "email": "ann@acme.test", "given_name": "Ann", "family_name": "Doe"}
KNOWN = {"user": USER, "client": {"name": "Portal"}, "connection": {"name": "Google"}}
TOKEN = reply(
    200,
    {
        "access_token": "token-1",
        "instance_url": "https://acme.my.salesforce.com",
        "token_type": "Bearer",
        "issued_at": "1795339800123",
    },
)
CREATED = reply(201, {"id": "00Q000000000001", "success": True, "errors": [], "created": True})
PATH = "/services/data/v68.0/sobjects/Lead/Cognito_Sub__c/u1"
LEAD = {
    "FirstName": "Ann",
    "LastName": "Doe",
    "Email": "ann@acme.test",
    "Company": "Web channel signups",
    "LeadSource": "Web",
    "Description": "Signed up in Portal via Google on 2026-11-22",
}


def an_error(status: int, code: str, **more: Any) -> Reply:
    return reply(status, [{"message": "ann@acme.test", "errorCode": code, "fields": []}], **more)


@pytest.fixture
def org() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TOKEN, CREATED]
        yield server


def lead(org: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    settings = {"my_domain": "acme", **(settings or {})}
    return a_delivery(org, settings, SECRETS, **(KNOWN | known))


def sent_to(org: Server) -> list[Received]:
    return [sent for sent in org.received if sent.path != "/services/oauth2/token"]


class ToLoopback(HTTPAdapter):
    """Sends to a server on loopback what the client would send to Salesforce."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        _, _, rest = request.url.partition(".salesforce.com")
        request.url = self._server.url + rest
        return super().send(request, *args, **kwargs)


@pytest.fixture
def their_session(org: Server) -> requests.Session:
    session = requests.Session()
    session.mount("https://", ToLoopback(org))
    return session
