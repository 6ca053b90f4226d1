"""Start the rule functions that a chain calls, before the first login has to wait for them.

Here a first call starts a Python process on the machine that also does everything else, and a login
would run into the time limits of its rules; AWS starts every environment on its own.
"""

import tomllib
from concurrent.futures import ThreadPoolExecutor

from local.server import EmbeddedAws


def warm_up(aws: EmbeddedAws, stack: str, document: str) -> None:
    """Start a worker for each rule that the chain ``document`` (TOML) runs in a function."""
    try:
        entries = tomllib.loads(document).get("rules", [])
    except tomllib.TOMLDecodeError:
        return  # a test of what such a chain does
    rules = {
        entry.get("rule")
        for entry in entries
        if entry.get("placement") != "inline" and entry.get("mode") != "off"
    }
    client = aws.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    deployed = {found["FunctionName"] for page in pages for found in page["Functions"]}
    wanted = sorted(deployed & {f"{stack}-rule-{rule}" for rule in rules})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda name: client.invoke(FunctionName=name, Payload=b"{}"), wanted))
