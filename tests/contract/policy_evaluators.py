"""Two evaluators of IAM policies, each a process of its own that answers line by line.

What a request and an answer are is said in ``iam_simulate/simulate.mjs``.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.contract.template_roles import JsonObject

PROJECT = Path(__file__).resolve().parents[2]
SIMULATE = PROJECT / "tests" / "contract" / "iam_simulate"
EMULATOR_PYTHON = PROJECT / ".venv-aws" / "bin" / "python"


class Evaluator:
    """A running evaluator.

    knows_the_keys_of_tag_session : whether it has the provider's condition keys for
        sts:TagSession, as AWS has.
    """

    def __init__(self, process: subprocess.Popen[str], knows_the_keys_of_tag_session: bool):
        self._process = process
        self.knows_the_keys_of_tag_session = knows_the_keys_of_tag_session

    def decide(self, requests: Sequence[JsonObject]) -> list[str]:
        """Return ``Allowed``, ``ImplicitlyDenied`` or ``ExplicitlyDenied`` for each request.

        AssertionError for a request that AWS does not know, e.g. a misspelt action.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(requests) + "\n")
        self._process.stdin.flush()
        answers: list[JsonObject] = json.loads(self._process.stdout.readline())
        assert [answer["error"] for answer in answers if "error" in answer] == []
        assert len(answers) == len(requests)
        return [answer["decision"] for answer in answers]


def iam_simulate() -> Iterator[Evaluator]:
    """Run the evaluator that is not ours."""
    with _running(["node", "simulate.mjs"], SIMULATE) as process:
        yield Evaluator(process, knows_the_keys_of_tag_session=False)


def embedded_aws() -> Iterator[Evaluator]:
    """Run the evaluator of the embedded AWS."""
    command = [str(EMULATOR_PYTHON), "-m", "tests.contract.emulator_evaluator"]
    with _running(command, PROJECT) as process:
        yield Evaluator(process, knows_the_keys_of_tag_session=True)


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program until its standard input is closed."""
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
