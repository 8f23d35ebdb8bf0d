#!/bin/sh
#
# From a fresh clone to a page over HTTPS: installs what is missing (Debian 12),
# builds, makes a certificate and serves examples/demo.lua on 127.0.0.1 until
# ctrl-C.
#
# Usage: examples/quickstart.sh [--check]
#   --check  fetch the page once, then stop; asks nothing

set -eu
cd "$(dirname "$0")/.."

check=
case ${1-} in
'') ;;
--check) check=yes ;;
*)
    sed -n '3,9s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

packages='gcc cmake ninja-build pkg-config libbearssl-dev libnghttp2-dev
liburing-dev openssl curl'
binary=build/release/lhttpd
state=build/quickstart # certificate and key
first_port=8443
last_port=8499

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# Either package of LuaJIT will do.
list_missing() {
    for package in $packages; do
        is_installed "$package" || echo "$package"
    done
    is_installed libluajit-5.1-dev || is_installed libluajit2-5.1-dev ||
        echo libluajit-5.1-dev
}

install_missing() {
    if ! [ -e /etc/debian_version ] || ! command -v apt-get >/dev/null; then
        [ -x "$binary" ] && return
        echo 'This is not Debian.  Install what these Debian packages hold:'
        echo "$packages libluajit-5.1-dev" | fmt -w 76 | sed 's/^/    '/
        echo 'then: cmake --preset release && cmake --build build/release'
        echo 'and run this again.'
        exit 1
    fi
    missing=$(list_missing | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    echo "To be installed from Debian: $missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "not root, and no sudo is there"
        sudo=sudo
        if [ -z "$check" ]; then
            printf 'Run "sudo apt-get install" for them now? [y/N] '
            read -r answer || answer=
            case $answer in
            [yY]*) ;;
            *) fail 'nothing was installed' ;;
            esac
        fi
    fi
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends $missing
}

build() {
    mkdir -p "$state"
    echo 'Building...'
    if ! { cmake --preset release && cmake --build build/release; } \
        >"$state/build.log" 2>&1; then
        cat "$state/build.log"
        fail 'the build failed'
    fi
}

# Kept for the next time, as long as it is valid for another day.
make_certificate() {
    if [ -s "$state/key.pem" ] &&
        openssl x509 -in "$state/cert.pem" -noout -checkend 86400 \
            >/dev/null 2>&1; then
        return
    fi
    (umask 077 && openssl req -x509 -newkey ec -nodes -days 30 \
        -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=localhost \
        -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
        -keyout "$state/key.pem" -out "$state/cert.pem" 2>/dev/null) ||
        fail 'openssl made no certificate'
}

stop() {
    trap - EXIT INT TERM
    if [ -n "$pid" ]; then
        kill "$pid" 2>/dev/null || true
        wait "$pid" || true
    fi
    exit "$1"
}

page_is_served() {
    curl -s --max-time 5 --cacert "$state/cert.pem" "$url" |
        grep -q '<h1>It works.</h1>'
}

# Starts the server on $port; false: it has ended, $state/log says why.  The log
# is emptied first, for an older one may say that it listens.
start() {
    url=https://127.0.0.1:$port/
    : >"$state/log"
    "$binary" -f -a 127.0.0.1 -p "$port" -c "$state/cert.pem" \
        -k "$state/key.pem" -l / examples/demo.lua 2>>"$state/log" &
    pid=$!
    tries=0
    until grep -q 'listening on' "$state/log"; do
        kill -0 "$pid" 2>/dev/null || return 1
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail 'the server does not start'
        sleep 0.1
    done
}

# The first free port: the server itself says whether it is.
start_on_free_port() {
    port=$first_port
    until start; do
        pid=
        grep -q 'in use' "$state/log" || fail "$(cat "$state/log")"
        port=$((port + 1))
        [ $port -le $last_port ] ||
            fail "ports $first_port to $last_port are all in use"
    done
}

pid=
trap 'stop 1' EXIT
trap 'echo; stop 0' INT TERM
install_missing
build
make_certificate
start_on_free_port
if [ -n "$check" ]; then
    page_is_served || fail "$url does not answer as it should"
    echo "$url answers"
    stop 0
fi
cat <<END

    $url

The browser will warn: the certificate was made here a moment ago, and nobody
it trusts has signed it.  That is right for a server on your own machine; go on
("Advanced", "Accept the risk").  curl can check the certificate itself:

    curl --cacert $PWD/$state/cert.pem $url

ctrl-C stops the server.
END
wait "$pid" || fail "$(cat "$state/log")"
