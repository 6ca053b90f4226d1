"""The public keys of a user pool: kept, asked for again when they rotate, and lived with when the
pool does not answer.

PyJWT fetches and parses them. Its own client's cache forgets all keys when one fetch after their
time fails, and asks again with every token while a pool is silent; so the keeping is here.

Imported by functions that have the net layer, since it imports PyJWT.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWTError

from cognito_rules.endpoint import Endpoint
from cognito_rules.errors import UpstreamError
from cognito_rules.logs import logger

ALGORITHM = "RS256"

MAX_AGE = 3600.0
MAX_STALE = 12 * 3600.0
# After a failed fetch; every token would wait for a timeout otherwise.
TRY_AGAIN_SECONDS = 10.0
# A key id that is unknown is asked about once in this time, and at most so many of them are: key
# ids are chosen by who sends a token.
ASK_SECONDS = 60.0
MAX_ASKED = 5

_FETCH_SECONDS = 2.0


class SigningKeys:
    """The keys at ``url``, which is https, or http at a loopback address.

    Parameters
    ----------
    now : seconds on a clock that only goes forward.

    Raises
    ------
    ConfigurationError : the URL is neither.
    """

    def __init__(self, url: str, *, now: Callable[[], float] = time.monotonic) -> None:
        endpoint = Endpoint.parse(url, allowed_hosts=None, allow_private_network=True)
        self._client = PyJWKClient(endpoint.url, cache_jwk_set=False, timeout=_FETCH_SECONDS)
        self._host = endpoint.host
        self._now = now
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at: float | None = None
        self._failed_at: float | None = None
        self._asked: dict[str, float] = {}

    def find(self, kid: str) -> PyJWK | None:
        """Return the key with this id; None when the pool has none, as far as may be asked.

        Raises
        ------
        UpstreamError : there are no keys, and the pool does not answer.
        """
        if self._age() >= MAX_AGE or (kid not in self._keys and self._may_ask_about(kid)):
            self._refresh()
        if self._age() >= MAX_STALE:
            raise UpstreamError(self._host, "the pool's keys cannot be fetched", retryable=True)
        return self._keys.get(kid)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._now() - self._fetched_at

    def _may_ask_about(self, kid: str) -> bool:
        now = self._now()
        self._asked = {k: at for k, at in self._asked.items() if now - at < ASK_SECONDS}
        if kid in self._asked or len(self._asked) >= MAX_ASKED:
            return False
        self._asked[kid] = now
        return True

    def _refresh(self) -> None:
        now = self._now()
        if self._failed_at is not None and now - self._failed_at < TRY_AGAIN_SECONDS:
            return
        try:
            found = PyJWKSet.from_dict(self._client.fetch_data())
        except (PyJWTError, OSError, ValueError) as error:
            self._failed_at = now
            logger().warning("keys not fetched", upstream=self._host, error=type(error).__name__)
            return
        self._failed_at, self._fetched_at = None, now
        self._keys = {
            key.key_id: key
            for key in found.keys
            if key.key_id and key.algorithm_name == ALGORITHM and key.public_key_use != "enc"
        }
