"""What tests of waiting share, so that they hold on a machine that has other things to do.

Nothing here is timed closely. What must end in time is told from what hangs by silences that are
far longer than any limit, and what must happen side by side by events and barriers.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

SILENCE = 60.0
SOON = 10.0


@contextlib.contextmanager
def ends_soon(seconds: float = SOON) -> Iterator[None]:
    """Fail when the block took as long as only a wait for somebody's silence can."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def wait_for[T](condition: Callable[[], T | None], *, seconds: float = 2 * SOON) -> T:
    """Return what ``condition`` returns as soon as it is true; fail after ``seconds``.

    Between two looks a condition rests four times as long as it took, half a second at most: one
    that asks the emulator would take from it the time in which it does what is waited for.
    """
    ends = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if found := condition():
            return found
        looked = time.monotonic()
        assert looked < ends, "it did not happen in time"
        time.sleep(min(max(0.02, 4 * (looked - began)), 0.5))
