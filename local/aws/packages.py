"""Unpack each deployment package and each layer once, however many workers use it.

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-filesystem.html (the code is read-only)

ministack unpacks all layers for every worker that it starts, and each worker compiles them again.
Here a worker gets a link to a folder that is named by its content, with its compiled modules. The
folders of layers outlive the emulator: every test process, and every run, uses the same layers.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.aws.emulator import workers

# Layers that are kept for later runs, those used last; a deployment of the project has five.
_KEPT = 30
_lock = threading.Lock()


def _run() -> Path:
    """Return the folder of this run, which lies beside those of others (``local.server``)."""
    return Path(os.environ["STATE_DIR"]).parent


def layers() -> Path:
    """Return the folder of the unpacked layers, which all runs share."""
    return _run().parent / "packages"


class LinkedZip:
    """In the place of a ``zipfile.ZipFile``: unpacked by a link to where its content lies already.

    The archive itself is opened only when its content is nowhere yet.
    """

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        digest = hashlib.sha256(self._file.read_bytes()).hexdigest()
        # The worker's script calls them code.zip, layer_0.zip, layer_1.zip ...
        is_layer = self._file.name.startswith("layer_")
        folder = layers() if is_layer else Path(tempfile.gettempdir()) / "packages"
        self._unpacked = folder / digest

    def __enter__(self) -> "LinkedZip":
        return self

    def __exit__(self, *exception: object) -> None:
        """There is nothing to close."""

    def namelist(self) -> list[str]:
        """Return the names that are still to be checked: none of what is unpacked."""
        if self._unpacked.exists():
            return []
        with zipfile.ZipFile(self._file) as archive:
            return archive.namelist()

    def extractall(self, path: str) -> None:
        """Put a link at ``path``, an empty folder."""
        with _lock:
            if not self._unpacked.exists():
                self._unpack()
        # Used now, for ``_forget_old``; which another emulator may have done at this moment.
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._unpacked)
        target = Path(path)
        target.rmdir()
        target.symlink_to(self._unpacked, target_is_directory=True)
        # Megabytes that nobody reads again, for every worker.
        self._file.unlink()

    def _unpack(self) -> None:
        self._unpacked.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=self._unpacked.parent))
        try:
            with zipfile.ZipFile(self._file) as archive:
                archive.extractall(unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(self._unpacked)
        except OSError:
            # Another emulator was faster.
            if not self._unpacked.exists():
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _forget_old() -> None:
    """Delete the layers that were not used for the longest time, and what was never finished."""
    if any(run != _run() for run in _run().parent.glob("emulator-*")):
        return  # whose workers may be about to import from one
    by_use: list[tuple[float, Path]] = []
    for folder in layers().glob("*"):
        with contextlib.suppress(FileNotFoundError):
            by_use.append((folder.stat().st_mtime, folder))
    for _, folder in sorted(by_use)[:-_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def install() -> None:
    """Give the workers' module a ``zipfile`` whose archives are links."""
    _forget_old()
    stand_in: Any = SimpleNamespace(
        ZipFile=LinkedZip,
        BadZipFile=zipfile.BadZipFile,
        LargeFileError=zipfile.LargeZipFile,  # the name it uses, which does not exist
    )
    workers.zipfile = stand_in
