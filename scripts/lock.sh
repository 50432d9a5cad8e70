#!/bin/sh
# Writes requirements.txt, requirements-rest.txt and requirements-dev.txt: every version of pyproject.toml's tree, for Python 3.11 and
# newer on every platform, with the hashes of the files. `--upgrade` takes newer versions.
#
# No address of a package index stands in the result, so that anybody can install from their own. Extras stay beside
# the versions: where a distribution is asked for with an extra and pinned without, pip takes the newest one there is,
# and then refuses it because it has no hash.
set -eu
cd "$(dirname "$0")/.."

lock() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-strip-extras --no-header "$@" pyproject.toml > /dev/null
}

# The first two are what images install, so that a setting can turn traces on in them.
lock "$@" --extra otel --output-file requirements.txt
lock "$@" --extra otel --extra rest --output-file requirements-rest.txt
lock "$@" --extra otel --extra rest --extra dev --output-file requirements-dev.txt
