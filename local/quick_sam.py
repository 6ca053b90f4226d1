"""Run ``sam`` as it is, with PyYAML on libyaml: half of a deployment's time goes into reading YAML.

``python -P local/quick_sam.py /path/to/sam ARGUMENTS``; the interpreter is that of ``sam``.
"""

import runpy
import sys

import yaml

if __name__ == "__main__":
    if yaml.__with_libyaml__:
        # The same classes but for their parser and emitter. Before sam derives its own from them.
        vars(yaml).update(SafeLoader=yaml.CSafeLoader, SafeDumper=yaml.CSafeDumper)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
