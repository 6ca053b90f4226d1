"""Run by the emulator's interpreter: what becomes of a session when the clock moves on.

Prints JSON: seconds after the session was opened -> the outcome of resolving its access key.
The session is opened as GetCredentialsForIdentity opens it.
"""

import json
import time

import ministack.app  # noqa: F401 - it sets up the services in the order they need

from local.aws import install


def main() -> None:
    """Open one session and look at it at four moments."""
    install()
    from local.aws.emulator import iam
    from local.aws.identity_pools import CREDENTIALS_SECONDS, SESSION_NAME
    from local.aws.web_identity import IDENTITY_POOLS, WebIdentity, open_session

    now = time.time()
    identity = WebIdentity(IDENTITY_POOLS, IDENTITY_POOLS, "eu-west-1:somebody", "eu-west-1:pool")
    role = "arn:aws:iam::000000000000:role/reader"
    session = open_session(role, SESSION_NAME, identity, CREDENTIALS_SECONDS)
    outcomes = {}
    for later in (0, 3590, 3602, 86400):
        time.time = lambda later=later: now + later  # type: ignore[misc]
        found = iam.resolve_credential(session.access_key_id, "000000000000", session.session_token)
        outcomes[later] = getattr(found, "code", type(found).__name__)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
