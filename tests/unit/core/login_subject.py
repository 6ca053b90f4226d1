"""A login function under test, with AWS as a server on loopback."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.pipeline import LoginFunction
from tests.cognito_events import SUB
from tests.loopback import Reply, Server, reply
from tests.made_up_chain import NOW, MadeUpChain

REFUSED = r"^try_again: Sign-in is unavailable right now\. Please try again\.$"


class Subject(MadeUpChain):
    """A login function under test; AWS is a server on loopback."""

    def __init__(self, amazon: Server, threads: ThreadPoolExecutor) -> None:
        super().__init__(threads)
        self.amazon = amazon

    @property
    def function(self) -> LoginFunction:
        tables = {"profiles": "profiles", "sessions": "sessions"}
        return self.login_function(Aws(), tables, lambda: NOW)

    def handle(self, event: Any, **options: Any) -> Any:
        return self.function.handle(event, **options)["response"]

    def knows(self, profile: dict[str, Any] | None = None, *sessions: dict[str, Any]) -> None:
        """Let the tables hold this, and take every write."""
        profiles = [to_item({"pk": f"USER#{SUB}", **profile})] if profile is not None else []
        responses = {"profiles": profiles, "sessions": [to_item(item) for item in sessions]}
        self.amazon.replies = [reply(200, {"Responses": responses}), Reply()]

    @property
    def calls(self) -> list[str]:
        return [
            request.headers.get("x-amz-target", "Lambda.Invoke").partition(".")[2]
            for request in self.amazon.received
        ]

    def committed(self) -> dict[str, dict[str, Any]]:
        """Return the items of the last write by the part of their key before ``#``."""
        body = json.loads(self.amazon.received[-1].body)
        puts = [write["Put"]["Item"] for write in body["TransactItems"] if "Put" in write]
        return {item["pk"].partition("#")[0]: item for item in map(from_item, puts)}
