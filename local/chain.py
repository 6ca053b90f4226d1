"""Deploy the login function again with another chain document, in a second instead of ten.

It does what ``sam build && sam deploy`` does after a change of ``chain.toml`` alone: the same
artifact with another document in it, a new version, the alias ``live`` moved to it.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from local.deployment import BUILT
from local.server import EmbeddedAws

ARTIFACT = BUILT.parent / "LoginFunction"
ALIAS = "live"


def replace_chain(aws: EmbeddedAws, function_name: str, document: str) -> None:
    """Let the login function ``function_name`` decide by the chain ``document`` (TOML) from now on.

    Raises
    ------
    FileNotFoundError : the project was never built: deploy first.
    """
    client = aws.client("lambda")
    published = client.update_function_code(
        FunctionName=function_name,
        ZipFile=packed(ARTIFACT, {"chain.toml": document}),
        Publish=True,
    )
    client.update_alias(
        FunctionName=function_name, Name=ALIAS, FunctionVersion=published["Version"]
    )


def packed(artifact: Path, replaced: Mapping[str, str] | None = None) -> bytes:
    """Return a built function as a zip file, with other texts in the files that ``replaced`` names.

    Raises
    ------
    FileNotFoundError : there is no such build.
    """
    files = sorted(path for path in artifact.rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(artifact)
    other = replaced or {}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            name = path.relative_to(artifact).as_posix()
            archive.writestr(name, other[name] if name in other else path.read_bytes())
    return packed.getvalue()
