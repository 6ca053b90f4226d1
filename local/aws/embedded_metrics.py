"""Metrics in what functions log, taken out of it as CloudWatch does.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

ministack stores the lines and looks no further. What the specification forbids makes no metric here
either: more than 100 metrics or values, a dimension without a text in the line.
"""

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from local.aws.emulator import wrap

logs: Any = import_module("ministack.services.cloudwatch_logs")
cloudwatch: Any = import_module("ministack.services.cloudwatch")

_MOST = 100

# Namespace, name, dimensions, seconds since the epoch, unit, values.
Datum = tuple[str, str, dict[str, str], float, str, list[float]]


def data_of(message: str) -> Iterator[Datum]:
    """Yield the metrics that a log line carries; none where it is no document of the format."""
    try:
        line = json.loads(message)
        metadata = line["_aws"]
        at = metadata["Timestamp"] / 1000
        directives = metadata["CloudWatchMetrics"]
    except (ValueError, TypeError, KeyError):
        return
    for directive in directives:
        metrics = directive.get("Metrics", [])
        for names in directive.get("Dimensions", []):
            dimensions = {name: line.get(name) for name in names}
            known = all(isinstance(value, str) for value in dimensions.values())
            for metric in metrics if known and len(metrics) <= _MOST else []:
                found = line.get(metric["Name"])
                values = found if isinstance(found, list) else [found]
                if len(values) <= _MOST and all(_is_number(value) for value in values):
                    unit = metric.get("Unit", "None")
                    numbers = [float(value) for value in values]
                    yield directive["Namespace"], metric["Name"], dimensions, at, unit, numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _append(original: Any, stream: Any, events: Any) -> Any:
    result = original(stream, events)
    for event in events:
        if '"_aws"' in event["message"]:
            for namespace, name, dimensions, at, unit, values in data_of(event["message"]):
                cloudwatch._store_datum(
                    namespace, name, dimensions, at, unit, None, values, None, None
                )
    return result


def install() -> None:
    """Look at every line that reaches a log stream."""
    wrap(logs, "_append_log_events", _append)
