#!/bin/sh
#
# Makes the Debian packages, lets lintian look at them, installs them on a fresh
# Debian 12 in a directory, uses them there, and purges them: nothing may stay.
# Root alone can do it, with the packages debootstrap and lintian.
#
# Usage: test/packages.sh [BUILD_DIRECTORY]
#
# The fresh system is build/packages/base, kept between runs; the packages stay in
# the build directory (build/debian, if none is given).

set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
cd "$(dirname "$0")/.."
build=${1:-build/debian}
work=$PWD/build/packages
root=$work/root
include=man-db,systemd,ca-certificates

fail() {
    echo "FAILED: $*"
    exit 1
}

make_packages() {
    [ -n "${1:-}" ] || cmake --preset debian -B "$build" >"$work/build.log" 2>&1 ||
        fail "cmake, see $work/build.log"
    cmake --build "$build" >>"$work/build.log" 2>&1 ||
        fail "the build, see $work/build.log"
    rm -f "$build"/*.deb
    (cd "$build" && cpack -G DEB) >"$work/cpack.log" 2>&1 ||
        fail "cpack, see $work/cpack.log"
    [ "$(find "$build" -maxdepth 1 -name '*.deb' | wc -l)" = 3 ] ||
        fail "there are not three packages in $build"
}

make_system() {
    [ -e "$work/base.made" ] || {
        rm -rf "$work/base"
        debootstrap --variant=minbase --include=$include bookworm "$work/base" \
            >"$work/debootstrap.log" 2>&1 ||
            fail "debootstrap, see $work/debootstrap.log"
        : >"$work/base.made"
    }
    rm -rf "$root"
    cp -a "$work/base" "$root"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mkdir "$root/packages"
    cp "$build"/*.deb "$root/packages/"
}

# in_system COMMAND: in the fresh system, where the network can be reached.
in_system() {
    unshare --mount --pid --fork chroot "$root" sh -c "
        mount -t proc proc /proc && $1"
}

# alone_in_system SCRIPT ASK: runs it by bash, with a loopback and no other network,
# and beside it ASK, in the outer system; both have to end well.
alone_in_system() {
    unshare --mount --pid --net --fork sh -c "
        ip link set lo up || exit 1
        chroot '$root' bash -e '$1' & $2 && wait \$!"
}

# What the system consists of, but for what every package operation changes.
files() {
    (cd "$root" && find . \( -path ./proc -o -path ./packages -o -path ./tmp \
        -o -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./var/cache \
        -o -path ./var/log -o -path ./run \) -prune -o -print) | sort
    cat "$root/etc/passwd" "$root/etc/group" | sort
    ls -d "$root"/var/log/lhttpd "$root"/var/cache/lhttpd 2>/dev/null || :
}

use() {
    for page in lhttpd lhttpd-lua liblhttpd lhttpd_server_start; do
        in_system "man -P cat $page" >"$work/page" 2>&1 ||
            fail "man $page: $(cat "$work/page")"
        [ "$(wc -l <"$work/page")" -gt 30 ] || fail "man $page: hardly a page"
    done
    in_system 'systemd-analyze verify /lib/systemd/system/lhttpd.service \
        /lib/systemd/system/lhttpd.socket' >"$work/verify" 2>&1 ||
        fail "systemd-analyze: $(cat "$work/verify")"
    [ ! -s "$work/verify" ] || fail "systemd-analyze: $(cat "$work/verify")"
    serve
}

# As its own user, and what /etc/lhttpd has; with and without TLS, by HTTP/1 and 2.
serve() {
    cat >"$root/packages/serve" <<'END'
mount -t proc proc /proc
lhttpd -f -u lhttpd -a 127.0.0.1 -p 80h -p 443s -c /packages/pem -k /packages/key \
    -l / /etc/lhttpd/main.lua &
pid=$!
for _ in {1..1200}; do
    [ ! -e /packages/asked ] || break
    sleep 0.1
done
stat -c 'user %U' /proc/$pid
kill $pid
wait $pid
END
    cat >"$work/ask" <<'END'
ask() {
    curl -sS -m 60 --retry 60 --retry-delay 1 --retry-connrefused \
        --cacert "$1/pem" -w '%{scheme} %{http_version}\n' "$2" "$3"
}
ask "$1" --http1.0 http://127.0.0.1/ && ask "$1" --http1.1 https://127.0.0.1/ &&
    ask "$1" --http2 https://127.0.0.1/ && : >"$1/asked"
END
    openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 7 \
        -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$root/packages/key" -out "$root/packages/pem" 2>"$work/openssl.log" ||
        fail "openssl, see $work/openssl.log"
    alone_in_system /packages/serve "sh '$work/ask' '$root/packages'" \
        >"$work/served" 2>&1 || fail "serving: $(cat "$work/served")"
    [ "$(grep -c 'lhttpd works' "$work/served")" = 3 ] ||
        fail "serving: $(cat "$work/served")"
    for words in '^user lhttpd$' '^HTTPS 1\.1$' '^HTTPS 2$'; do
        grep -q "$words" "$work/served" || fail "serving: $(cat "$work/served")"
    done
}

for tool in debootstrap lintian dpkg-shlibdeps unshare curl openssl; do
    command -v $tool >/dev/null || fail "$tool is not installed"
done
[ "$(id -u)" = 0 ] || fail 'only root can make a system in a directory'
mkdir -p "$work"
make_packages "${1:-}"
# Whoever builds packages to give them away has an address (DEBEMAIL); a test has none.
lintian --fail-on error,warning --allow-root \
    --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog \
    "$build"/*.deb || fail lintian
make_system
files >"$work/before"
in_system 'apt-get update -q && apt-get install -q -y --no-install-recommends \
    /packages/*.deb' >"$work/install.log" 2>&1 ||
    fail "apt-get install: $(tail -n 20 "$work/install.log")"
grep -q '^lhttpd:' "$root/etc/passwd" || fail 'no user lhttpd'
use
in_system 'apt-get purge -q -y lhttpd liblhttpd0 liblhttpd-dev &&
    apt-get autoremove -q -y --purge' >"$work/purge.log" 2>&1 ||
    fail "apt-get purge: $(tail -n 20 "$work/purge.log")"
files >"$work/after"
diff "$work/before" "$work/after" >"$work/left" ||
    fail "what was installed has left: $(cat "$work/left")"
rm -rf "$root"
echo 'the packages are sound'
