"""Run the completed ministack: ``python -m local.aws``, by the emulator's own interpreter.

The environment says what ``local.server`` decided: GATEWAY_PORT, BIND_HOST, STATE_DIR. The parent
of STATE_DIR belongs to this run alone and is deleted at its end.
"""

import asyncio
import os
import resource
from pathlib import Path

from local.aws import admin, faults, install, lifeline


def main() -> None:
    """Serve until standard input closes."""
    lifeline.hold(Path(os.environ["STATE_DIR"]).parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Sent to every Lambda worker too, which inherits this environment.
    os.environ.pop("PYTHONPATH", None)
    import ministack.app
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    install()
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    config.accesslog = None
    asyncio.run(
        serve(admin.beside(faults.before(ministack.app.app)), config, shutdown_trigger=_never)
    )


async def _never() -> None:
    """Wait for ever: only the lifeline ends the server."""
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
