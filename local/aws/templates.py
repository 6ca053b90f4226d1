"""Templates are read by libyaml: the same result in a tenth of the time.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html

A deployment has ministack read the template several times, and PyYAML's own reader takes a second
for one of this size.
"""

from importlib import import_module
from typing import Any

import yaml

engine: Any = import_module("ministack.services.cloudformation.engine")


def install() -> None:
    """Replace the loader by one with the same tags on another parser."""
    given = engine.CfnLoader

    class Loader(yaml.CSafeLoader):
        yaml_constructors = given.yaml_constructors
        yaml_implicit_resolvers = given.yaml_implicit_resolvers

    engine.CfnLoader = Loader
