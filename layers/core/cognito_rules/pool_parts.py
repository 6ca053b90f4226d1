"""What a user pool says of its parts of one kind, asked seldom and kept for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from cognito_rules.errors import UpstreamError
from cognito_rules.user_pools import UserPools

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

# A setting that an operator changes counts after five minutes; the API allows few calls a second.
KEEP_SECONDS = 300.0
ASK_AGAIN_SECONDS = 60.0
ASK_SECONDS = 0.4


class PoolParts:
    """The parts of one kind, of the pools in the Region of ``aws``; a subclass says which.

    Parameters
    ----------
    now : seconds on a clock that only goes forward.
    """

    operation: ClassVar[str]
    name: ClassVar[str]  # the operation's parameter that names a part
    part: ClassVar[str]  # what of the answer describes it

    def __init__(self, aws: Aws, *, now: Callable[[], float] = time.monotonic) -> None:
        self._pools = UserPools(aws)
        self._now = now
        # Pool and part -> (what was said, or why nothing was; good until).
        self._known: dict[tuple[str, str], tuple[Mapping[str, Any] | UpstreamError, float]] = {}

    def find(self, pool_id: str, name: str, *, timeout: float = ASK_SECONDS) -> Mapping[str, Any]:
        """Return the description of a part; an old one when AWS is silent.

        Raises
        ------
        UpstreamError : it was never read, and cannot be read now.
        """
        known, good_until = self._known.get((pool_id, name), (None, 0.0))
        if known is None or self._now() >= good_until:
            keep = KEEP_SECONDS
            try:
                known = self._ask(pool_id, name, timeout)
            except UpstreamError as error:
                keep = ASK_AGAIN_SECONDS
                if known is None or isinstance(known, UpstreamError):
                    known = error
            self._known[pool_id, name] = (known, self._now() + keep)
        if isinstance(known, UpstreamError):
            raise known
        return known

    def _ask(self, pool_id: str, name: str, timeout: float) -> Mapping[str, Any]:
        wanted = {"UserPoolId": pool_id, self.name: name}
        answer = self._pools.call(self.operation, wanted, timeout=timeout)
        part: Mapping[str, Any] = answer.get(self.part) or {}
        return part
