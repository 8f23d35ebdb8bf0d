#!/bin/sh
# Makes Debian's files of what was installed, before CPack packs it: what belongs
# into /etc, units where Debian 12 looks for them, compressed manual pages,
# changelogs, the copyright.
#
# Usage: finish.sh STAGING SOURCE CONTACT
#
# STAGING has a directory for each of the components server, library, development.
set -eu
staging=$1
source=$2
contact=$3
debian=$source/share/packaging/debian

copyright() {
    cat "$debian/copyright.head"
    sed '1,4d; s/^$/./; s/^/ /' "$source/LICENSE"
}

# papers COMPONENT PACKAGE: what each package has in its /usr/share/doc.
papers() {
    doc=$staging/$1/usr/share/doc/$2
    mkdir -p "$doc"
    copyright >"$doc/copyright"
    sed "s/@CONTACT@/$contact/" "$debian/changelog" | gzip -9nc >"$doc/changelog.Debian.gz"
    gzip -9nc "$source/CHANGELOG.md" >"$doc/changelog.gz"
    overrides=$debian/$2.lintian-overrides
    [ ! -f "$overrides" ] ||
        install -D -m 644 "$overrides" "$staging/$1/usr/share/lintian/overrides/$2"
}

papers server lhttpd
papers library liblhttpd0
papers development liblhttpd-dev

server=$staging/server
mkdir -p "$server/lib"
[ ! -d "$server/usr/lib/systemd" ] || mv "$server/usr/lib/systemd" "$server/lib/"
rmdir "$server/usr/lib" 2>/dev/null || :
install -D -m 644 "$debian/sysusers" "$server/usr/lib/sysusers.d/lhttpd.conf"
install -D -m 644 "$debian/default" "$server/etc/default/lhttpd"
install -D -m 644 "$debian/main.lua" "$server/etc/lhttpd/main.lua"
install -D -m 644 "$source/share/service/lhttpd.logrotate" \
    "$server/etc/logrotate.d/lhttpd"

# Debian has them in place or under other names, or no use for them.
rm -rf "$server/usr/share/lhttpd/service" "$server/usr/share/doc/lhttpd/LICENSE" \
    "$server/usr/share/doc/lhttpd/CHANGELOG.md"

find "$staging" -path '*/man/man*' -type f ! -name '*.gz' -exec gzip -9n {} +
find "$staging" -type d -exec chmod 755 {} +
find "$staging" -type f -name '*.so.*' -exec chmod 644 {} +
