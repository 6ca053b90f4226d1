"""Unpack each deployment package and each layer once, however many workers use it.

https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-filesystem.html (the code is read-only)

ministack unpacks all layers for every worker that it starts, and each worker compiles them again.
Here a worker gets a link to a folder that is named by its content, with its compiled modules.
"""

import hashlib
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.aws.emulator import workers

_lock = threading.Lock()


class LinkedZip(zipfile.ZipFile):
    """A ZIP file that is unpacked by a link to the folder where its content lies already."""

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Put a link at ``path``, an empty folder; everything else is unpacked as ever."""
        target = Path(path)
        if members is not None or self.filename is None or any(target.iterdir()):
            super().extractall(path, members, pwd)
            return
        content = Path(self.filename).read_bytes()
        folder = Path(tempfile.gettempdir()) / "packages" / hashlib.sha256(content).hexdigest()
        with _lock:
            if not folder.exists():
                unfinished = folder.with_suffix(".unfinished")
                super().extractall(unfinished)
                unfinished.rename(folder)
        target.rmdir()
        target.symlink_to(folder, target_is_directory=True)


def install() -> None:
    """Give the workers' module a ``zipfile`` whose archives are links."""
    workers.zipfile = SimpleNamespace(
        ZipFile=LinkedZip,
        BadZipFile=zipfile.BadZipFile,
        LargeFileError=zipfile.LargeZipFile,  # the name it uses, which does not exist
    )
