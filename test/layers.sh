#!/bin/sh
#
# Checks what keeps lib/ in layers (docs/architecture.md, "The shape"): which
# folder may include which, where third-party and system headers and platform
# conditions may be, and that there are no locks and none of the functions that
# we do not use.  First it proves on planted mistakes that it finds them.
#
# Usage: test/layers.sh

set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1

# The folders that files of a folder may include from.
allowed() {
    case $1 in
    base) echo base ;;
    os) echo base os ;;
    net) echo base os net ;;
    http) echo base http ;;
    h1) echo base http h1 ;;
    h2) echo base http h2 ;;
    ws) echo base http ws ;;
    files) echo base os http files ;;
    lua) echo base os net http ws files lua ;;
    server | .) echo base os net http h1 h2 ws files lua server ;;
    esac
}

# Prints what is wrong with the files below the directory $1; "path:line:text"
# each, under a line that says why.  Each rule is one grep over all its files:
# some dozens of processes instead of thousands.
violations() {
    (cd "$1" && check_folders && check_includes && check_system &&
        check_descriptors && check_linux && check_third_party && check_words)
}

# files [EXPRESSION OF find ...]: what is below "." and is C.
files() {
    find . -name '*.[ch]' "$@" | sed 's|^\./||' | sort
}

# found WHY PATTERN [PATTERN THAT EXCUSES A LINE]: in the files of the input.
found() {
    lines=$(xargs grep -nE "$2" /dev/null | grep -vE "${3:-^$}") || return 0
    printf '%s:\n%s\n' "$1" "$lines"
}

folders='base os net http h1 h2 ws files lua server .'

check_folders() {
    for file in $(files); do
        case " $folders " in *" ${file%/*} "*) continue ;; esac
        case $file in */*) echo "$file:1: a folder that has no layer" ;; esac
    done
}

check_includes() {
    for folder in $folders; do
        [ -d "$folder" ] || continue
        from=$(allowed "$folder" | tr ' ' '|')
        find "$folder" -maxdepth 1 -name '*.[ch]' | sed 's|^\./||' | sort |
            found 'an include that goes against the layers, or not from lib/' \
                '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' \
                "\"(lhttpd\.h|($from)/[a-z0-9_]+\.h)\""
    done
    files ! -path './os/*' | found 'a condition on the platform outside os/' \
        '#[[:space:]]*(if|ifdef|ifndef|elif).*(__linux|__FreeBSD|__NetBSD|__OpenBSD|__APPLE__|_WIN32|__unix)'
}

# Above os/ nobody speaks to the system: its headers, errno, its numbers.
check_system() {
    files ! -path './os/*' | found 'a system header outside os/' \
        '#[[:space:]]*include[[:space:]]*<((sys|net|netinet|arpa|linux|asm)/|(errno|unistd|fcntl|pthread|poll|time|signal|threads|spawn|sched|dirent|netdb|pwd|grp|syslog|dlfcn|termios|liburing|strings)\.h)'
    files ! -path './os/*' |
        found "errno outside os/ (os/error.h has names for the system's errors)" \
            '(^|[^_a-zA-Z0-9])(errno|strerror|E(AGAIN|WOULDBLOCK|INTR|NOMEM|PERM|ACCES|NOENT|EXIST|MFILE|NFILE|PIPE|BADF|INVAL|ISDIR|NOTSUP|OPNOTSUPP|CHILD|SPIPE|CONNRESET))([^_a-zA-Z0-9]|$)' \
            ':[[:space:]]*(/?\*)|/\*.*errno.*\*/'
}

# What opens a descriptor, but for those that cannot be 0 to 2 (os/fd.h).
check_descriptors() {
    files -path './os/*' ! -path './os/fd.c' |
        found 'a descriptor that does not go through os/fd.h' \
            '(^|[^_a-zA-Z0-9>.])(open|openat|socket|socketpair|accept4|epoll_create1?|eventfd|timerfd_create|pipe2?|memfd_create|dup)\([^0-9)]|SYS_pidfd_open|F_DUPFD|io_uring_queue_init' \
            'lh_fd_above\(|O_TMPFILE|O_PATH|static int ring_init|int r = io_uring_queue_init'
}

# What other systems do not have is in the files that CMake chooses for Linux.
check_linux() {
    files -path './os/*' | grep -vE \
        '_(linux|epoll|uring|pidfd|glibc|musl)[.]c$|/(nowait|refused|child_close_from|aio_announce_thread)[.]c$' |
        found 'what only Linux has in a file for all systems' \
            '(^|[^_a-zA-Z0-9])(O_(LARGEFILE|TMPFILE|NOATIME)|EPOLL[A-Z]|SPLICE_F_|F_[SG]ETPIPE_SZ|RESOLVE_|RWF_|SYS_(openat2|pidfd|p(read|write)v2|io_uring))' \
            ':[[:space:]]*/?\*'
}

check_third_party() {
    include='#[[:space:]]*include[[:space:]]*[<"]'
    files ! -path './net/*' |
        found 'BearSSL outside net/' "${include}bearssl"
    files -path './net/*' ! -path './net/engine.h' |
        found 'a private member of BearSSL outside net/engine.h' \
            '(->|\.)(ibuf|obuf|ox[abc]|ix[abc]|shutdown_recv|selected_protocol|protocol_names|version_(in|out)|client_(max_version|suites|random))|(->|\.)(in|out)\.vtable|eng(ine)?(\.|->)(in|out|session|err|iomode)\b'
    files ! -path './net/openssl.h' |
        found 'OpenSSL outside net/openssl.h' "${include}openssl/"
    files ! -path './net/*openssl*' |
        found 'OpenSSL in a file that is not named after it' \
            "${include}net/[a-z_]*openssl\.h"
    files -path './net/*openssl*' |
        found 'BearSSL in a file of OpenSSL' \
            "${include}net/([a-z_]*bearssl|session|policy|engine|tls_context|client_auth|tls_failure)\.h"
    files ! -path './h2/h2_hpack.c' |
        found 'nghttp2 outside h2/h2_hpack.c' "${include}nghttp2"
    files ! -path './lua/*' | found 'Lua outside lua/' \
        "$include([^>\"]*/)?(lua|lauxlib|lualib|luajit|luaconf)\.h"
}

check_words() {
    files | found 'a lock' \
        '\b(pthread_(mutex|cond|rwlock|spin|barrier)|mtx_|cnd_|sem_(init|open|wait|trywait|timedwait|post)|flockfile)'
    files | found 'a function that is not used here' \
        '\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gmtime|localtime|alloca|rand|gets)[[:space:]]*\('
}

planted=$(mktemp -d) || exit 1
trap 'rm -r "$planted"' EXIT
mkdir "$planted/wrong" "$planted/fine"

# put TREE PATH LINE: appends LINE to PATH in a tree of its own.
put() {
    mkdir -p "$planted/$1/$(dirname "$2")"
    printf '%s\n' "$3" >>"$planted/$1/$2"
}

# plant PATH LINE: must be found.
plant() {
    put wrong "$@"
    printf '%s:%d:\n' "$1" "$(wc -l <"$planted/wrong/$1")" >>"$planted/expected"
}

# fine PATH LINE: must not be found.
fine() {
    put fine "$@"
}

plant base/x.c '#include "os/evq.h"'
plant base/x.h '# include "http/field.h"'
plant os/x.c '#include "net/tls.h"'
plant net/x.c '#include "http/field.h"'
plant os/y.c 'int flags = O_CLOEXEC | O_LARGEFILE;'
plant http/x.c '#include "os/clock.h"'
plant h1/x.h '#include "h2/h2_conn.h"'
plant h2/x.c '#include "lua/vm.h"'
plant ws/x.c '#include "lua/task.h"'
plant h1/x.c '#include "ws/ws_frame.h"'
plant base/x.c '#include <bearssl.h>'
plant lua/x.c '#include "h1/h1_conn.h"'
plant lua/x.c '#include "server/worker.h"'
plant os/x.c '#include "evq.h"'
plant os/x.c '#include "../base/mem.h"'
plant other/x.c 'int x;'
plant os/x.c '#include <bearssl.h>'
plant net/x.c '    if (engine->oxa == engine->oxc)'
plant net/x_openssl.c '#include <openssl/ssl.h>'
plant net/x.c '#include "net/openssl.h"'
plant net/x.c '#include "net/key_openssl.h"'
plant server/x.c '#include "net/key_openssl.h"'
plant net/x_openssl.c '#include "net/key_bearssl.h"'
plant net/x_openssl.c '#include "net/session.h"'
plant net/x.h '    context->server.eng.ibuf = p;'
plant net/x.c '    memset(&context->server.eng.session, 0, 9);'
plant h2/h2_conn.c '#include <nghttp2/nghttp2.h>'
plant h2/h2_hpack.h '#include <nghttp2/nghttp2.h>'
plant server/x.c '#include <lua.h>'
plant server/x.c '#include <luajit-2.1/lauxlib.h>'
plant http/x.c '#include <unistd.h>'
plant base/x.c '#include <sys/socket.h>'
plant base/x.c '#include <pthread.h>'
plant server/x.c '#include <errno.h>'
plant server/x.h '#include <pthread.h>'
plant net/x.c '#  include <sys/uio.h>'
plant h2/x.c '#include <time.h>'
plant net/x.c '    return errno == EPERM;'
plant server/x.c '    why = strerror(error);'
plant server/x.c '    if (error == -EAGAIN)'
plant net/x.c '#ifdef __linux__'
plant server/x.c 'static pthread_mutex_t lock;'
plant server/x.c '    sem_wait(&s);'
plant os/x.c '    mtx_lock(&m);'
plant os/x.c '    flockfile(stderr);'
plant lua/x.c '    strcpy(a, b);'
plant lua/x.c '    t = gmtime(&s);'
plant os/x.c '    int fd = socket(AF_UNIX, SOCK_STREAM, 0);'
plant os/x.c '    fd = open(path, O_RDONLY);'
plant os/x.c '    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);'
fine os/x.c '    fd = lh_fd_above(open(path, O_RDONLY));'
fine os/x.c ' * as open(2) says'
fine base/x.c '#include "base/mem.h"'
fine base/x.c '#include <string.h>'
fine server/x.c '#include "h2/h2_conn.h"'
fine os/x.c '#include <errno.h>'
fine os/x.c '    return -errno;'
fine net/x.c ' * 0 or a negative errno, such as EAGAIN. */'
fine net/x.c '    if (n == LH_SYS_EAGAIN)'
fine lhttpd.c 'const char *lhttpd_strerror(int error)'
fine lhttpd.c '#include "server/server.h"'
fine base/x.c '#include "lhttpd.h"'
fine net/x.c '#include <bearssl.h>'
fine net/openssl.h '#include <openssl/ssl.h>'
fine net/x_openssl.c '#include "net/openssl.h"'
fine net/x_openssl.c '#include "net/tls_context_openssl.h"'
fine net/x.c '    br_ssl_engine_close(&context->server.eng);'
fine net/engine.h '    return engine->shutdown_recv;'
fine h2/h2_hpack.c '#include <nghttp2/nghttp2.h>'
plant base/digest.c '#include <bearssl.h>'
fine lua/x.c '#include <lua.h>'
fine os/x.c '#ifdef __linux__'
fine os/x.c '    n = snprintf(out, room, "x");'

violations "$planted/wrong" >"$planted/found"
missed=$(while read -r place; do
    grep -qF "$place" "$planted/found" || echo "not found: $place"
done <"$planted/expected"
violations "$planted/fine" | sed 's/^/wrongly found: /')
if [ -n "$missed" ]; then
    printf '%s\n' "$missed"
    exit 1
fi

problems=$(violations "$root/lib")
if [ -n "$problems" ]; then
    printf '%s\n' "$problems"
    exit 1
fi
echo 'lib/ is in its layers'
