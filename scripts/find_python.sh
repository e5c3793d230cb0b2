#!/bin/sh
# Print the first interpreter from 3.12 to 3.14 that really runs and has what an environment needs: venv, ensurepip
# and the C headers (the form compiler builds extension modules). Version managers leave shims on the PATH that exist
# and fail, so every candidate is run rather than looked up.
works() {
  "$1" -c '
import os, sys, sysconfig, venv, ensurepip
headers = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(not ((3, 12) <= sys.version_info[:2] <= (3, 14) and os.path.isfile(headers)))' >/dev/null 2>&1
}

candidates() {
  [ -n "$PYTHON" ] && echo "$PYTHON"
  printf '%s\n' python3.13 python3.12 python3.14 python3 python
  ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[234].*/bin/python3 2>/dev/null | sort -rV
  ls -d /usr/local/bin/python3.1[234] /opt/homebrew/bin/python3.1[234] /opt/*/bin/python3.1[234] \
    "$HOME"/.local/share/uv/python/*/bin/python3.1[234] 2>/dev/null
  [ -n "$CONDA_PREFIX" ] && echo "$CONDA_PREFIX/bin/python"
}

candidates | while read -r candidate; do
  if command -v "$candidate" >/dev/null 2>&1 && works "$candidate"; then
    "$candidate" -c 'import sys; print(sys.executable)'
    break
  fi
done | grep . || {
  echo "No Python 3.12 to 3.14 with venv, ensurepip and headers was found; install one, or set PYTHON=/path/to/python3.13." >&2
  exit 1
}
