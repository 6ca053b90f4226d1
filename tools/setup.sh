#!/usr/bin/env bash
# Make .venv (the project) and .venv-aws (the embedded AWS) from the locked requirements, whose
# hashes are checked. Takes no time when nothing changed; never installs anything outside the two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

requirements=(requirements/{bootstrap,dev,emulator}.txt)
stamp=.venv/setup-stamp

digest() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

is_python_3_13() { # with venv and ensurepip, which some distributions package apart
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13 \
        "$(uv python find --no-python-downloads 3.13 2>/dev/null || true)" python3; do
        if [[ -n $candidate ]] && is_python_3_13 "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: Python 3.13 with venv was not found: install it (for example 'pyenv install 3.13'," \
        "'uv python install 3.13' or your system's python3.13 and python3.13-venv) and run again." >&2
    return 1
}

# Tests ask an IAM evaluator that is not ours about the template's policies; it runs on Node.
evaluator=tests/contract/iam_simulate

wanted=$(cat "${requirements[@]}" "$evaluator/package-lock.json" pyproject.toml "$0" - <<<"$PWD" |
    digest)
if [[ -x .venv/bin/python && -x .venv-aws/bin/python && $(cat "$stamp" 2>/dev/null) == "$wanted" ]]
then
    exit 0
fi

python=$(find_python)
started=$SECONDS
echo "setup: installing the locked requirements for $("$python" --version)" >&2
rm -f "$stamp"
for environment in .venv .venv-aws; do
    # A moved checkout or an upgraded interpreter leaves an environment that starts nothing.
    is_python_3_13 "$environment/bin/python" || rm -rf "$environment"
done
[[ -d .venv ]] || "$python" -m venv .venv
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes \
    --requirement requirements/bootstrap.txt

uv=(.venv/bin/python -m uv --quiet)
[[ -d .venv-aws ]] || "${uv[@]}" venv --python "$python" .venv-aws
# Compiled here once, or every start of a tool would pay where Python may not write its caches.
"${uv[@]}" pip sync --python .venv --require-hashes --compile-bytecode requirements/dev.txt
"${uv[@]}" pip sync --python .venv-aws --require-hashes --compile-bytecode requirements/emulator.txt
# The `cognito-rules` command, and the checkout on the path of .venv.
"${uv[@]}" pip install --python .venv --offline --no-deps --no-build-isolation --editable .

if command -v npm >/dev/null; then
    npm ci --prefix "$evaluator" --ignore-scripts --no-audit --no-fund --silent
fi

echo "$wanted" >"$stamp"
echo "setup: done in $((SECONDS - started)) s" >&2
