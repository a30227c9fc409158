#!/bin/sh
# Does Home Assistant accept what this appliance announces?
#
#   tests/homeassistant/check.sh PORT [SECONDS]
#
# A broker without a password must listen on 127.0.0.1:PORT and the agent must be connected to it. Prints what
# Home Assistant made of it (see probe.py). Exit code 0: entities appeared, nothing was rejected; 1: otherwise;
# 2: wrong usage, or Home Assistant could not be installed.
#
# Home Assistant is installed once (about 500 MB) into $LARDER_CACHE, or ~/.cache/larder. The version below is an older
# one on purpose: it throws a whole device away for one key that only newer versions know.
set -eu

home_assistant=${HOME_ASSISTANT:-2025.4.4}
python_wanted=3.13

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${LARDER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/larder}
place=$cache/homeassistant-$home_assistant

fail() {
    echo "check.sh: $1" >&2
    exit 2
}

# The first Python of the wanted series: on the path, or among those that pyenv keeps.
find_python() {
    for python in "python$python_wanted" python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$python_wanted".*/bin/python; do
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if [ "$version" = "$python_wanted" ]; then
            echo "$python"
            return
        fi
    done
    fail "Python $python_wanted is needed for Home Assistant $home_assistant"
}

# The mark comes last, so that an interrupted installation is made anew.
if [ ! -e "$place/complete" ]; then
    python=$(find_python)
    mkdir -p "$cache"
    rm -rf "$place"
    echo "check.sh: installing Home Assistant $home_assistant into $place" >&2
    {
        "$python" -m venv "$place" &&
            "$place/bin/pip" install --quiet --disable-pip-version-check uv &&
            VIRTUAL_ENV=$place "$place/bin/uv" pip install --quiet \
                "homeassistant==$home_assistant" "paho-mqtt==2.1.0"
    } >&2 || fail "Home Assistant $home_assistant could not be installed"
    touch "$place/complete"
fi

exec "$place/bin/python" "$here/probe.py" "$@"
