"""Functions run as on Lambda where ministack would not.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import io
import json
import zipfile
from typing import Any

from local.server import EmbeddedAws
from tests.local.user_pool import create_function


def invoke(aws: EmbeddedAws, arn: str) -> Any:
    return json.load(aws.client("lambda").invoke(FunctionName=arn, Payload=b"{}")["Payload"])


def test_botocore_is_loaded_by_those_who_use_it(aws: EmbeddedAws) -> None:
    loaded = "import sys\n\n\ndef handler(event, context):\n    return 'botocore' in sys.modules\n"

    assert invoke(aws, create_function(aws, loaded)) is False
    assert invoke(aws, create_function(aws, f"import boto3\n{loaded}")) is True


def test_calls_from_function_to_function_are_still_counted(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html"""
    counting = (
        "import boto3, botocore.handlers\n\n\n"
        "def handler(event, context):\n"
        "    return 'add_invoke_depth' in str(botocore.handlers.BUILTIN_HANDLERS)\n"
    )

    assert invoke(aws, create_function(aws, counting)) is True


def test_workers_share_what_a_layer_holds(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html"""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("python/shared_part.py", "def where():\n    return __file__\n")
    layer = aws.client("lambda").publish_layer_version(
        LayerName="shared", Content={"ZipFile": package.getvalue()}
    )["LayerVersionArn"]
    source = (
        "import os, shared_part\n\n\n"
        "def handler(event, context):\n"
        "    return [shared_part.where(), os.path.realpath(shared_part.where())]\n"
    )
    answers = []
    for _ in range(2):
        arn = create_function(aws, source)
        aws.client("lambda").update_function_configuration(FunctionName=arn, Layers=[layer])
        answers.append(invoke(aws, arn))

    (first, first_real), (second, second_real) = answers
    assert first != second
    assert first_real == second_real
