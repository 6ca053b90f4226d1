"""A function that does not use botocore does not pay for its import.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html

ministack's worker imports botocore before the function, to count how deep functions call each
other. Here the counter is put in when, and only when, the function itself imports botocore.
"""

from local.aws.emulator import workers

_BEFORE = "    _ms_install_invoke_depth()\n    try:\n"
_AFTER = """\
    class _WhenBotocoreComes:
        def find_spec(self, name, path=None, target=None):
            if name != "botocore.handlers":
                return None
            sys.meta_path.remove(self)
            import importlib.util
            spec = importlib.util.find_spec(name)
            run = spec.loader.exec_module
            def exec_module(module):
                run(module)
                sys.modules["botocore"].handlers = module
                _ms_install_invoke_depth()
            spec.loader.exec_module = exec_module
            return spec
    sys.meta_path.insert(0, _WhenBotocoreComes())
    try:
"""


def install() -> None:
    """Change the script of the Python workers."""
    script = workers._PYTHON_WORKER_SCRIPT
    if script.count(_BEFORE) != 1:
        raise AttributeError("ministack's Python worker script has changed: look at cold_start")
    workers._PYTHON_WORKER_SCRIPT = script.replace(_BEFORE, _AFTER)
