"""The client's half of USER_SRP_AUTH; the arithmetic is pycognito's, neither ours nor ministack's.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-authentication-flow-methods.html
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from pycognito.aws_srp import AWSSRP, hex_to_long


class SrpClient:
    """One SRP exchange: ``first`` goes to InitiateAuth, ``proof`` answers PASSWORD_VERIFIER."""

    def __init__(self, pool_id: str, client_id: str, username: str, password: str):
        self._pool_name = pool_id.split("_", 1)[1]
        self._password = password
        # It gets no AWS client: what is used of it calls nobody.
        self._math = AWSSRP(username, password, pool_id, client_id, client=object())
        self.first: dict[str, str] = {"SRP_A": self._math.get_auth_params()["SRP_A"]}

    def proof(self, challenge: Mapping[str, str], now: datetime | None = None) -> dict[str, str]:
        """Return the ChallengeResponses for the ``ChallengeParameters`` of PASSWORD_VERIFIER."""
        moment = now or datetime.now(UTC)
        timestamp: str = self._math.get_cognito_formatted_timestamp(moment)
        user_id = challenge["USER_ID_FOR_SRP"]
        key = self._math.get_password_authentication_key(
            user_id, self._password, hex_to_long(challenge["SRP_B"]), challenge["SALT"]
        )
        block = base64.standard_b64decode(challenge["SECRET_BLOCK"])
        message = (self._pool_name + user_id).encode() + block + timestamp.encode()
        signature = hmac.new(key, message, hashlib.sha256).digest()
        return {
            "USERNAME": challenge.get("USERNAME", user_id),
            "TIMESTAMP": timestamp,
            "PASSWORD_CLAIM_SECRET_BLOCK": challenge["SECRET_BLOCK"],
            "PASSWORD_CLAIM_SIGNATURE": base64.standard_b64encode(signature).decode(),
        }
