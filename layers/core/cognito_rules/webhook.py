"""Calls to a URL that is itself a secret: whoever has it may use it, as with incoming webhooks.

The URL is never logged and stands in no setting; it comes from a secret and is checked against the
hosts that the rule knows, since what a secret holds is typed in by somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from cognito_rules.endpoint import is_allowed, vendor_endpoint
from cognito_rules.errors import ConfigurationError, UpstreamError
from cognito_rules.http import Answer, Endpoint, post

# A webhook that was taken away, or whose receiver was.
_GONE = (401, 403, 404, 410)


def post_to_webhook(
    read_url: Callable[[bool], str],
    body: bytes,
    *,
    hosts: Collection[str],
    stand_in: str | None,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Answer:
    """Send ``body`` to the webhook and return the answer; options as for ``cognito_rules.http``.

    Parameters
    ----------
    read_url : returns the URL; called with True, once, to read it again when the webhook is gone.
    hosts : the hosts that it may be on, each exact or with a leading ``*.``.
    stand_in : see ``vendor_endpoint``; the path stays that of the webhook.

    Raises
    ------
    UpstreamError : as ``post``; ``misconfigured`` for a webhook that stays gone, and for a secret
        that holds no https URL of one of ``hosts``.
    SecretError : ``read_url`` cannot read the secret.
    """
    url = read_url(False)
    answer = post(_endpoint(url, hosts, stand_in), body, headers=headers, **options)
    if answer.status in _GONE and (newer := read_url(True)) != url:
        answer = post(_endpoint(newer, hosts, stand_in), body, headers=headers, **options)
    if answer.status in _GONE:
        message = f"the webhook is gone: answered {answer.status}"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    return answer


def _endpoint(url: str, hosts: Collection[str], stand_in: str | None) -> Endpoint:
    try:
        parts = urlsplit(url)
        host = parts.netloc.lower()  # as it is written: no port, no user
        if parts.scheme != "https" or not is_allowed(host, hosts):
            raise ConfigurationError("its scheme or its host is another one")
        query = f"?{parts.query}" if parts.query else ""
        return vendor_endpoint(host, (parts.path or "/") + query, stand_in=stand_in)
    except (ConfigurationError, ValueError):
        # Not from the error, which may hold the URL.
        message = f"the secret holds no https URL of {' or '.join(hosts)}"
        raise UpstreamError("webhook", message, code="misconfigured") from None
