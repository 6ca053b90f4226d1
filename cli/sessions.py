"""The refresh tokens of people who use ``cognito-rules credentials``, in files of theirs alone."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import typer

from cli.terminal import stop

_OTHERS = 0o077


@dataclass(frozen=True)
class Session:
    """Where one person's refresh token for one app client is kept."""

    path: Path

    @classmethod
    def of(cls, pool_id: str, client_id: str, username: str) -> Session:
        """Return the session of a person; its file need not be there."""
        folder = Path(typer.get_app_dir("cognito-rules")) / "sessions"
        name = "\0".join((pool_id, client_id, username))
        return cls(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json")

    def read(self) -> str | None:
        """Return the refresh token, None where nobody is signed in.

        Ends the command when others could have read or written the file.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                status = os.fstat(file.fileno())
                if status.st_mode & _OTHERS or status.st_uid != os.getuid():
                    stop(f"Others may read {self.path}: delete it, and sign in again.")
                document = json.load(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            stop(f"{self.path} cannot be read ({type(error).__name__}): delete it.")
        token = document.get("refresh_token") if isinstance(document, dict) else None
        return token if isinstance(token, str) else None

    def write(self, refresh_token: str) -> None:
        """Keep a refresh token, whole or not at all, readable by its owner only."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # mkstemp makes it readable by the owner only, before there is anything in it.
            handle, name = tempfile.mkstemp(dir=self.path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"refresh_token": refresh_token}, file)
            Path(name).replace(self.path)
        except OSError as error:
            stop(f"{self.path} cannot be written: {error.strerror}.")

    def forget(self) -> None:
        """Delete the refresh token."""
        self.path.unlink(missing_ok=True)
