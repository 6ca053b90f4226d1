"""What holds for every test process."""

import os

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


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Give each worker a file at a time, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next((folder for folder in TOGETHER if nodeid.startswith(folder)), None)
        return folder or nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.nodeid.removeprefix("tests/")
        found = (n for n, begin in enumerate(LONGEST_FIRST) if path.startswith(begin))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=place)
