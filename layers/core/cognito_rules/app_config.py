"""AWS AppConfig Data over the login path's own transport: one session, polled.

Sources: AWS AppConfig Data API reference, StartConfigurationSession and GetLatestConfiguration.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cognito_rules.errors import UpstreamError

if TYPE_CHECKING:
    from cognito_rules.aws import Aws
    from cognito_rules.connections import HttpAnswer

SERVICE = "appconfig"  # under which the signature is checked; the host is appconfigdata
# The shortest interval that a session can have. How often is asked is up to the caller.
_POLL_SECONDS = 15
_NEXT_TOKEN = "Next-Poll-Configuration-Token"


class ConfigurationSession:
    """The deployed configuration of one profile in one environment, named by name or id."""

    def __init__(self, aws: Aws, application: str, environment: str, profile: str) -> None:
        self._aws = aws
        self._url = aws.endpoint("appconfigdata")
        self._wanted = {
            "ApplicationIdentifier": application,
            "EnvironmentIdentifier": environment,
            "ConfigurationProfileIdentifier": profile,
            "RequiredMinimumPollIntervalInSeconds": _POLL_SECONDS,
        }
        # Good for one call, which returns the next one.
        self._token: str | None = None

    def latest(self, timeout: float) -> bytes | None:
        """Return the deployed configuration, or None when it is the one that was returned last.

        Also None when nothing was ever deployed. ``timeout`` is in seconds for all calls.

        Raises
        ------
        UpstreamError : AppConfig did not answer in time, or refused. The next call starts anew,
            and returns the configuration whether it is new or not.
        """
        ends = time.monotonic() + timeout
        token, self._token = self._token, None
        if token is not None:
            answer = self._poll(token, ends)
            if answer.status != 400:  # the token has expired: a day went by, or a call was lost
                return self._read(answer)
        return self._read(self._poll(self._start(ends), ends))

    def _start(self, ends: float) -> str:
        answer = self._aws.send(
            "POST",
            SERVICE,
            f"{self._url}/configurationsessions",
            json.dumps(self._wanted).encode(),
            {"Content-Type": "application/json"},
            timeout=ends - time.monotonic(),
            repeatable=True,
        )
        try:
            token = json.loads(answer.data)["InitialConfigurationToken"]
        except (ValueError, KeyError, TypeError) as error:
            raise _refused("StartConfigurationSession", answer) from error
        return str(token)

    def _poll(self, token: str, ends: float) -> HttpAnswer:
        return self._aws.send(
            "GET",
            SERVICE,
            f"{self._url}/configuration?configuration_token={quote(token, safe='')}",
            b"",
            {},
            timeout=ends - time.monotonic(),
        )

    def _read(self, answer: HttpAnswer) -> bytes | None:
        if answer.status == 404:
            return None  # nothing is deployed yet
        if answer.status != 200 or not answer.headers.get(_NEXT_TOKEN):
            raise _refused("GetLatestConfiguration", answer)
        self._token = answer.headers[_NEXT_TOKEN]
        return answer.data or None


def _refused(operation: str, answer: HttpAnswer) -> UpstreamError:
    kind: Any = answer.headers.get("x-amzn-ErrorType") or answer.status
    return UpstreamError(
        SERVICE, f"{operation}: {str(kind).partition(':')[0]}", status=answer.status
    )
