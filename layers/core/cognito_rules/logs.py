"""The product's log lines: constant messages, facts as fields, no personal data."""

from __future__ import annotations

import os
import traceback
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from aws_lambda_powertools import Logger

from cognito_rules.manifest import Manifest


@cache
def logger() -> Logger:
    """Return the one structured logger of this function."""
    return Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "cognito-rules"))


def log_run(manifest: Manifest, event: Any, response: dict[str, Any], duration_ms: float) -> None:
    """Write the one line of a rule's run; a fault is an error, a warning a warning."""
    login = _table(event, "login")
    facts: dict[str, Any] = {
        "rule": manifest.name,
        "transaction_id": _table(login, "transaction").get("id"),
        "user_id": _table(login, "user").get("user_id"),
        "duration_ms": duration_ms,
    }
    if fault := response.get("fault"):
        logger().error("rule failed", code=fault["code"], reason=fault["message"], **facts)
        return
    effects = response["effects"]
    denials = [effect["code"] for effect in effects if effect["effect"] == "deny"]
    facts["outcome"] = "deny" if denials else "allow"
    facts["effects"] = [effect["effect"] for effect in effects]
    if denials:
        facts["code"] = denials[0]
    if warnings := response.get("warnings"):
        logger().warning("rule finished", warnings=warnings, **facts)
    else:
        logger().info("rule finished", **facts)


def _table(holder: Any, key: str) -> dict[str, Any]:
    """Return the object under ``key``; an event can hold any junk, and its run is logged too."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def log_record(message: str, record: dict[str, Any], *, failed: bool = False) -> None:
    """Write one record of a trigger call; ``record`` holds no personal data."""
    write = logger().error if failed else logger().info
    write(message, **record)


def log_fault(error: Exception) -> None:
    """Write where an error of our own came from; its text may hold personal data, so not that."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{FilePath(frame.filename).name}:{frame.lineno}"
    logger().error("trigger call failed", error=type(error).__name__, where=where)
