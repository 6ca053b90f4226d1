"""The endpoint that other systems call with an answer that they did not have at once.

Behind an HTTP API (payload format 2.0), at ``POST /webhooks/fullcontact/{nonce}``. FullContact
signs nothing: the nonce, which only FullContact was told, is all there is, and what comes with it
is treated as anybody's. It becomes a few short texts about the one person who was asked about.

Source: FullContact docs, "Webhooks" (a POST "will mirror the responses of most other FullContact
API requests"; no signature, no word on repetition).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cognito_rules import http_api
from cognito_rules.effects import Effects
from cognito_rules.enrichment import keep_failed, keep_found
from cognito_rules.errors import InvalidEffectError, RuleError, StoreError
from cognito_rules.http_api import Answer, answer
from cognito_rules.late_answers import Asked, LateAnswers, late_answers
from cognito_rules.logs import log_fault, logger
from cognito_rules.protocol import Effect

MAX_BODY_BYTES = 256 * 1024
FULLCONTACT = "fullcontact"


@dataclass(frozen=True)
class WebhooksDoor:
    """The endpoint; ``answers`` are those that are awaited."""

    answers: LateAnswers

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Return the answer to a call; never raises, and stores only what was asked for."""
        facts: dict[str, Any] = {}
        try:
            made = self._receive(event, facts)
        except StoreError as error:
            logger().error("tables unavailable", reason=str(error))
            made = answer(503, {"error": "try_again"}, **{"Retry-After": "5"})
        except (RuleError, LookupError, TypeError, ValueError) as error:
            log_fault(error)
            made = answer(500, {"error": "internal_error"})
        logger().info("webhook", status=made["statusCode"], **facts)
        return made

    def _receive(self, event: Mapping[str, Any], facts: dict[str, Any]) -> Answer:
        nonce = str((event.get("pathParameters") or {}).get("nonce") or "")
        asked = self.answers.find(nonce)
        if asked is None or asked.source != FULLCONTACT:
            return answer(404, {"error": "not_found"})
        facts |= {"source": asked.source, "user_id": asked.person, "login_id": asked.login_id}
        try:
            effect = _read(event, asked)
        except (ValueError, RecursionError, InvalidEffectError):
            return answer(400, {"error": "invalid_request"})
        if not self.answers.take(nonce, asked, effect):
            return answer(404, {"error": "not_found"})
        facts["outcome"] = effect["status"]
        return answer(204)


def _read(event: Mapping[str, Any], asked: Asked) -> Effect:
    """Return what a call says of the person; raises as ``json.loads`` for what is no profile."""
    body = json.loads(http_api.body(event, max_bytes=MAX_BODY_BYTES))
    if not isinstance(body, dict):
        raise ValueError("a profile is a JSON object")
    effects = Effects()
    # A profile has no status, an error has that of its HTTP answer.
    status = body.get("status", 200)
    if status == 200:
        keep_found(asked.kept, effects, asked.source, body)
    elif status == 404:
        keep_found(asked.kept, effects, asked.source, {})
    else:
        keep_failed(effects, asked.source)
    [effect] = effects.items
    return effect


@cache
def _door() -> WebhooksDoor:
    return WebhooksDoor(late_answers())


def handler(event: Mapping[str, Any], context: Any) -> Answer:
    """Answer a request of the HTTP API."""
    return _door().handle(event)
