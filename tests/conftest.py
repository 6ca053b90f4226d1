"""What holds for every test process."""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Readline tells xdist's workers how wide a terminal is; a console that is made under it keeps that
# width, whatever a test asks for.
os.environ.pop("COLUMNS", None)

# What takes long begins first, so that the workers end together.
LONGEST_FIRST = (
    "local/stack/test_break_glass.py",
    "local/stack/test_burst.py",
    "local/stack/test_every_rule.py",
    "local/stack/test_procedures.py",
    "local/doctor/",
    "local/stack/test_enriched_leads.py",
    "local/stack/test_no_way_around.py",
    "local/stack/test_vendors.py",
    "local/stack/",
    "local/",
    "unit/core/test_planner.py",
    "unit/cli/",
)
# Folders whose tests share something that is dear to make, and stay in one process.
TOGETHER = ("tests/local/doctor/",)


def last_of(workers: int) -> str | None:
    """Return the name of the last worker, where there are others."""
    return f"gw{workers - 1}" if workers > 1 else None


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Give each worker a file at a time: the last one from the end of the order, the others from
    its beginning.

    So what needs a processor all the time, and what waits for sign-ins, run side by side.
    """

    def _assign_work_unit(self, node: Any) -> None:
        if node.gateway.id == last_of(self.numnodes):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        folder = next((folder for folder in TOGETHER if nodeid.startswith(folder)), None)
        return folder or nodeid.partition("::")[0]


def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", {})
    if worker and worker["workerid"] == last_of(worker["workercount"]):
        # Cognito waits five seconds for a trigger, and a contract test can wait for a processor.
        os.nice(10)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.nodeid.removeprefix("tests/")
        found = (n for n, begin in enumerate(LONGEST_FIRST) if path.startswith(begin))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=place)
