#!/bin/sh
# Makes a virtual environment and installs q2a into it, from this folder alone.
#   sh install.sh [FOLDER]      the environment goes to FOLDER, to q2a-venv in your home by default
set -eu
bundle=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$HOME/q2a-venv}
fits='import platform, sys
here = ("%d.%d" % sys.version_info[:2], platform.system(), platform.machine())
sys.exit(here != ("@PYTHON@", "@SYSTEM@", "@MACHINE@"))'

fail() {
  echo "install: $1" >&2
  exit 2
}

python=
for candidate in "${PYTHON:-python@PYTHON@}" python@PYTHON@ python3 python; do
  if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$fits" 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || fail "this bundle is for Python @PYTHON@ on @SYSTEM@ @MACHINE@, and none was found; install it, or name it: PYTHON=/path/to/python sh install.sh"
[ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || fail "$venv is there and is no virtual environment; name another folder: sh install.sh FOLDER"

"$python" "$bundle/check_bundle.py" "$bundle" || exit 2

"$python" -m venv @VENV_OPTIONS@"$venv" || fail "Python could not make a virtual environment in $venv; on Debian and Ubuntu it needs the package python@PYTHON@-venv"
pip() {
  PIP_CONFIG_FILE=/dev/null "$venv/bin/python" -m pip --isolated install --quiet --disable-pip-version-check --no-compile --no-index --find-links "$bundle/wheels" "$@"
}
echo "installing into $venv ..."
pip @PIP_OPTIONS@@PROJECT@ || fail "the packages could not be installed; is the disk full, or the bundle not whole?"
pip --force-reinstall --no-deps @PROJECT@ || fail "q2a itself could not be installed"
"$venv/bin/q2a" --version >/dev/null 2>&1 || fail "q2a does not start in $venv: this bundle holds @WHEELS@; the Python of a virtual environment lends none, name another: PYTHON=/path/to/python sh install.sh"
echo "installed: q2a @VERSION@"
echo "next:"
echo "  . \"$venv/bin/activate\""
echo "  q2a doctor --workshop"
echo "  q2a lesson open 0"
