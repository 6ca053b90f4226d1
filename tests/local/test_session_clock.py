"""Vended credentials end; the emulator decides, the length of the session is our completion's."""

import json
import os
import subprocess
from pathlib import Path

from local.server import EMULATOR_PYTHON, PROJECT


def test_credentials_of_an_identity_act_for_an_hour_and_no_longer(tmp_path: Path) -> None:
    environment = os.environ | {
        "AUTH": "true",
        "STATE_DIR": str(tmp_path),
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    run = subprocess.run(
        [str(EMULATOR_PYTHON), "-m", "tests.local.session_clock"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert json.loads(run.stdout.splitlines()[-1]) == {
        "0": "ResolvedCredential",
        "3590": "ResolvedCredential",
        "3602": "ExpiredTokenException",
        "86400": "ExpiredTokenException",
    }
