/*
 * liblhttpd: an embeddable HTTP/1.x and HTTP/2 server that runs Lua handlers
 * without ever blocking a thread.
 *
 * A whole program (cc hello.c $(pkg-config --cflags --libs lhttpd)):
 *
 *     #include <lhttpd.h>
 *     #include <stdio.h>
 *
 *     static const char script[] =
 *         "httpd.register_handler('/', function(env)\n"
 *         "    httpd.header{['content-type'] = 'text/plain'}\n"
 *         "    httpd.write(nil, 'hello\\n')\n"
 *         "end)\n";
 *
 *     int main(void)
 *     {
 *         lhttpd_server_t *server;
 *
 *         if (lhttpd_server_create(&server, NULL) < 0)
 *             return 1;
 *         if (lhttpd_server_listen(server, "127.0.0.1", 8080, 0) < 0 ||
 *             lhttpd_server_map_source(server, "/", "hello.lua", script,
 *                                      sizeof(script) - 1) < 0 ||
 *             lhttpd_server_start(server) < 0)
 *             fprintf(stderr, "%s\n", lhttpd_server_error(server));
 *         else
 *             getchar();
 *         lhttpd_server_destroy(server);
 *         return 0;
 *     }
 *
 * The order for everybody: create, set, listen, add_certificate, confine, map,
 * start; what is not needed is left out.  Sections: versions and errors;
 * memory; limits; the log; making a server; where it listens; who runs it; what
 * it serves; C functions that wait; in a program's own loop; running and
 * stopping; what handlers share;
 * statistics; the process; words.
 *
 * Rules that hold for everything below:
 *
 * - A server is opaque; there is no global state but for the allocator, and
 *   several servers in one process do not know of each other.
 * - Every public struct begins with `size`.  Start from its initialiser
 *   (lhttpd_config_init() and so on; other languages: lhttpd_struct_init()).
 *   The library reads nothing beyond `size` and takes what an older program
 *   does not have as zero.  Zero is each field's default; LHTTPD_UNLIMITED is
 *   the absence of a limit.
 * - Functions return 0 (or what they say) or a negative LHTTPD_E... number.
 *   lhttpd_strerror() names its class, lhttpd_server_error() says it in words.
 *   Each may fail for an argument that is NULL and must not be, or a struct
 *   whose size is not set (LHTTPD_EINVAL), for its state or thread (below;
 *   LHTTPD_ESTATE), for lack of memory (LHTTPD_ENOMEM), and for what is said
 *   at it.  After a failure it may be called again, unless it says otherwise.
 * - Strings and buffers are copied.  Only `context` pointers must stay valid,
 *   until lhttpd_server_destroy() has returned.
 * - A server is used by one thread at a time, but for lhttpd_server_shutdown(),
 *   lhttpd_server_publish(), lhttpd_server_log(), lhttpd_server_port(),
 *   lhttpd_server_stats() and lhttpd_server_handler_stats(), which any thread
 *   may call at any time, and for what says that it may change a running
 *   server.  A call in a state that does not allow it is LHTTPD_ESTATE.
 * - A forked child may exec or _exit.  There, every call on a server that the
 *   parent has started is LHTTPD_ESTATE, or does nothing.
 * - Nothing here prints (but for the default log, to standard error), exits,
 *   aborts, forks, installs signal handlers, or touches the locale or the
 *   working directory, except for the lhttpd_process_ functions, which say so.
 *   (Scripts may, and start processes.)  Lack of memory is an error, a refused
 *   connection or a failed request.
 * - Descriptors are close-on-exec, and none is 0, 1 or 2, also where these are
 *   closed.
 * - Worker threads have the signal mask of the thread that starts the server,
 *   as what C modules start inherits it, but SIGPIPE and SIGXFSZ are blocked
 *   where the program does not catch them.  So a handler may run in any thread,
 *   and a signal that the program waits for, by sigwait() or a signalfd, is to
 *   be blocked before the start.
 *
 * A server is in setup from create on, runs from the successful return of start
 * on, and has stopped, for good, when wait or stop has returned.  What may be
 * called when (any: from any thread, also while others call):
 *
 *                            setup    runs              stopped
 *     set, add_certificate   yes      not on a worker   -
 *     add_client_ca          yes      -                 -
 *     listen, adopt,         yes      -                 -
 *       listen_fds
 *     map_script, map_source yes      -                 -
 *     map_directory          yes      -                 -
 *     register_vm_factory    yes      -                 -
 *     notify, check, start   yes      -                 -
 *     publish                -        any               -
 *     shared_set, shared_get yes      any but a worker  -
 *     shutdown               nothing  any, and signals  nothing
 *     reopen                 yes      not on a worker   -
 *     attach                 yes      -                 -
 *     run_once, next_timeout -        its own thread    -
 *     fd                     -        any               -
 *     wait, stop             -        not on a worker   -
 *     wait_fd                -        yes               -
 *     listener_fd            yes      yes               -
 *     port, log, stats       any      any               any
 *     error                  yes      yes               yes
 *     destroy                yes      not on a worker   yes
 *
 * After attach, instead of start, wait, stop and destroy are for the thread
 * that has attached it, and what it does inside of run_once is done on a
 * worker.
 *
 * "-" is LHTTPD_ESTATE, "nothing" does nothing, "signals": in a signal handler.
 */
#ifndef LHTTPD_H
#define LHTTPD_H

#include <stddef.h>
#include <stdint.h>

/* --- versions and errors ----------------------------------------------- */

#define LHTTPD_VERSION_MAJOR 0
#define LHTTPD_VERSION_MINOR 1
#define LHTTPD_VERSION_PATCH 0

#if defined(__GNUC__)
#define LHTTPD_API __attribute__((visibility("default")))
#else
#define LHTTPD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

/* One server: its configuration, listeners, scripts and worker threads. */
typedef struct lhttpd_server_t lhttpd_server_t;

/* What functions return; lhttpd_strerror() has a text for each. */
#define LHTTPD_OK        0
#define LHTTPD_ENOMEM    (-1)  /* out of memory */
#define LHTTPD_EINVAL    (-2)  /* an argument is not valid */
#define LHTTPD_ESTATE    (-3)  /* not in this state, or not on this thread */
#define LHTTPD_ESYSTEM   (-4)  /* the operating system refused */
#define LHTTPD_EADDRESS  (-5)  /* the address cannot be listened on */
#define LHTTPD_ECERT     (-6)  /* a certificate or key cannot be used */
#define LHTTPD_ESCRIPT   (-7)  /* a script or VM factory failed */
#define LHTTPD_EUSER     (-8)  /* no such user, or not allowed to become it */
#define LHTTPD_ECUT      (-9)  /* the grace ran out and requests were cut */
#define LHTTPD_ESTUCK    (-10) /* a script or a file does not return */
#define LHTTPD_ETIMEOUT  (-11) /* the time is over */
#define LHTTPD_ECLOSED   (-12) /* the client has gone */
#define LHTTPD_ESTOPPING (-13) /* the server stops */

/* The absence of a limit. */
#define LHTTPD_UNLIMITED UINT64_MAX

/* Makes any public struct of `size` octets ready: its size is set, everything
 * else is zero.  The initialisers below do no more; they are inline, so that
 * the size is the program's own, and a language that cannot use them calls
 * this. Nothing happens for less than a size_t. */
LHTTPD_API void lhttpd_struct_init(void *any, size_t size);

/* --- memory ------------------------------------------------------------ */

/* Where memory comes from.  `n` is never 0 and `p` never NULL; a block is
 * aligned for every type, as malloc()'s. */
typedef struct lhttpd_allocator_t {
    size_t size;
    void *(*alloc)(void *context, size_t n);            /* NULL: none */
    void *(*realloc)(void *context, void *p, size_t n); /* ... and p stays */
    void (*free)(void *context, void *p);
    void *context;
} lhttpd_allocator_t;

static inline lhttpd_allocator_t lhttpd_allocator_init(void)
{
    lhttpd_allocator_t allocator;

    lhttpd_struct_init(&allocator, sizeof(allocator));
    return allocator;
}

/*
 * Everything that the library allocates, it allocates with these functions, for
 * the whole process and for good: Lua's memory too, but for states that a VM
 * factory makes; not what the C library takes for itself (FILE, threads) and
 * not the machine code of a just-in-time compiler.  Once, before the first
 * server is made: else LHTTPD_ESTATE.
 *
 * The functions are called from every thread that the library has or that calls
 * it, from several at once, and must not call the library.  NULL is an error of
 * what was to be done, as LHTTPD_ENOMEM, a refused client or an error in a
 * script.  As LuaJIT does not survive that in compiled code, it then compiles
 * none; and it takes no blocks above 2 to the power of 47, which some systems
 * of 64 bits have.
 */
LHTTPD_API int lhttpd_allocator(const lhttpd_allocator_t *allocator);

/* --- limits ------------------------------------------------------------ */

/*
 * Limits and time-outs.  Zero takes the default, which docs/limits.md lists
 * together with what happens past each.  `_ms` is milliseconds, `_bytes`
 * octets.
 */
typedef struct lhttpd_limits_t {
    size_t size;
    uint64_t request_line_bytes;      /* 8192 */
    uint64_t header_bytes;            /* 32768, 32 octets added a field */
    uint64_t header_fields;           /* 128 */
    uint64_t header_timeout_ms;       /* 10000, for the whole section */
    uint64_t chunk_line_bytes;        /* 256 */
    uint64_t trailer_bytes;           /* 8192 */
    uint64_t body_bytes;              /* unlimited: a body streams */
    uint64_t body_timeout_ms;         /* 30000, while the handler reads */
    uint64_t body_rate;               /* 500 octets a second, likewise */
    uint64_t send_timeout_ms;         /* 30000 without an octet taken */
    uint64_t idle_timeout_ms;         /* 60000 between requests */
    uint64_t linger_timeout_ms;       /* 30000 of reading in vain */
    uint64_t linger_bytes;            /* 65536 of a body, to go on behind it */
    uint64_t handshake_timeout_ms;    /* 10000 */
    uint64_t connection_requests;     /* unlimited */
    uint64_t connections;             /* 90 % of the descriptor limit */
    uint64_t stream_buffer_bytes;     /* 65536 of response a request */
    uint64_t connection_buffer_bytes; /* 262144 of response a connection */
    uint64_t handler_run_ms;          /* 5000 without a pause */
    uint64_t vm_memory_bytes;         /* unlimited */
    uint64_t h2_streams;              /* 128 */
    uint64_t h2_continuations;        /* 8 a header block */
    uint64_t h2_useless;              /* 1000: budget of useless frames */
    uint64_t h2_useless_refill;       /* 100 a second */
    uint64_t h2_queued_reply_bytes;   /* 65536 */
    uint64_t h2_settings;             /* 32 entries a frame */
    uint64_t hpack_table_bytes;       /* 4096 */
    uint64_t linger_idle_ms;   /* 5000 without an octet, reading in vain */
    uint64_t h2_header_bytes;  /* 524288 of a connection */
    uint64_t channel_bytes;    /* 1048576 a message that is published */
    uint64_t shared_bytes;     /* 1048576 of shared values in all */
    uint64_t spawned;          /* 1000 functions of httpd.spawn, of a script */
    uint64_t ws_message_bytes; /* 1048576 a message that is read whole */
    uint64_t ws_ping_ms;       /* 30000 of silence, then a ping */
    uint64_t sockets;          /* 256 of httpd.connect, open on a worker */
} lhttpd_limits_t;

static inline lhttpd_limits_t lhttpd_limits_init(void)
{
    lhttpd_limits_t limits;

    lhttpd_struct_init(&limits, sizeof(limits));
    return limits;
}

/* Sets one limit by its field's name, from a decimal number or "unlimited".
 * LHTTPD_EINVAL: no such name, or not such a value. */
LHTTPD_API int lhttpd_limits_set(lhttpd_limits_t *limits, const char *name,
                                 const char *value);

/* The name of limit number `index`, counted from 0; NULL past the last. */
LHTTPD_API const char *lhttpd_limits_name(unsigned index);

/* --- the log ----------------------------------------------------------- */

/* What happened to whom, for the log. */
typedef enum lhttpd_log_level_t {
    LHTTPD_LOG_DEFAULT = 0, /* as a config's log_level: notice */
    LHTTPD_LOG_ERROR,       /* something failed */
    LHTTPD_LOG_WARNING,     /* something looks wrong */
    LHTTPD_LOG_NOTICE,      /* start, stop and what an operator wants to know */
    LHTTPD_LOG_INFO,        /* one request's or client's trouble */
    LHTTPD_LOG_DEBUG        /* for developers */
} lhttpd_log_level_t;

typedef struct lhttpd_log_entry_t {
    size_t size;
    lhttpd_log_level_t level;
    const char *message;    /* one line, without the newline */
    const char *script;     /* the script's path, or NULL */
    const char *client;     /* the client's address, or NULL */
    const char *request;    /* the request line, or NULL */
    const char *request_id; /* its id, as env.REQUEST_ID, or NULL */
} lhttpd_log_entry_t;

/* Receives log entries; everything in `entry` is valid during the call.  It is
 * called from every worker at once, from the threads that call functions here,
 * and from one of the library's own that runs no script and has all signals
 * blocked; it must not block. */
typedef void (*lhttpd_log_fn)(void *context, const lhttpd_log_entry_t *entry);

/* How a request has ended. */
typedef enum lhttpd_ending_t {
    LHTTPD_ENDED_COMPLETE = 0, /* all of the response went to the system */
    LHTTPD_ENDED_GONE,         /* the client went before */
    LHTTPD_ENDED_TIMEOUT,      /* it was cut since it took nothing */
    LHTTPD_ENDED_CUT           /* by the server: a stop, a failed handler */
} lhttpd_ending_t;

/* Octets as a client has sent them, perhaps with zeroes; not terminated. */
typedef struct lhttpd_text_t {
    const char *p; /* NULL: there is none */
    size_t bytes;
} lhttpd_text_t;

/* One request that has ended: served, refused by the server itself, or given
 * up.  Strings are terminated; NULL: does not apply. */
typedef struct lhttpd_access_t {
    size_t size;
    int64_t begun_unix_us; /* its first octets came, since 1970 UTC */
    uint64_t header_us;    /* from then until the response's header left */
    uint64_t total_us;     /* ... until the end */
    unsigned status;       /* 0: no header of a response has left */
    lhttpd_ending_t ending;
    uint64_t sent_bytes;     /* of the response's body, as far as it left */
    uint64_t received_bytes; /* of the request's, as far as it was taken */
    const char *protocol;    /* "HTTP/1.0", "HTTP/1.1", "HTTP/2.0" */
    const char *client;      /* its address, "unix" on a unix socket */
    int client_port;
    const char *server; /* the address that it came to */
    int server_port;
    const char *tls_protocol; /* "TLSv1.2"; NULL: plain */
    const char *tls_cipher;
    const char *tls_server_name; /* SNI, "" for none */
    const char *prefix;          /* that was mapped, "/" for the root */
    lhttpd_text_t method;        /* what could not be read is not there */
    lhttpd_text_t target;        /* path and query as sent */
    lhttpd_text_t authority;
    lhttpd_text_t referrer;
    lhttpd_text_t user_agent;
    lhttpd_text_t request_id;  /* where somebody asked for one */
    lhttpd_text_t traceparent; /* as the client has sent it (W3C) */
} lhttpd_access_t;

/* Receives an entry for each request that has ended; what it points to is valid
 * during the call.  Called from every worker at once; it must not block. */
typedef void (*lhttpd_access_fn)(void *context, const lhttpd_access_t *entry);

/* --- making a server --------------------------------------------------- */

typedef struct lhttpd_config_t {
    size_t size;
    unsigned workers;              /* 0: one per online CPU */
    const lhttpd_limits_t *limits; /* NULL: the defaults */
    lhttpd_log_fn log;             /* NULL: as syslog_name says */
    void *log_context;
    lhttpd_log_level_t log_level; /* 0: notice */
    const char *server_name;      /* the server field; NULL "lhttpd", "" none */
    /* Where log is NULL: under this name to the system's log, facility daemon;
     * NULL: to standard error (setting log_file: elsewhere).  Neither waits for
     * its reader: lines that one does not take in time are lost, and their
     * number is logged later. */
    const char *syslog_name;
    lhttpd_access_fn access; /* NULL: nobody is told of requests */
    void *access_context;
} lhttpd_config_t;

static inline lhttpd_config_t lhttpd_config_init(void)
{
    lhttpd_config_t config;

    lhttpd_struct_init(&config, sizeof(config));
    return config;
}

/* Makes a server; `config` NULL takes every default.  Fails with LHTTPD_ENOMEM,
 * LHTTPD_ESYSTEM (the system gives no random octets) or, for a struct of
 * impossible size or an impossible value, LHTTPD_EINVAL;
 * lhttpd_server_error(NULL) then has the words.  Destroy it in any case of
 * success. */
LHTTPD_API int lhttpd_server_create(lhttpd_server_t **server,
                                    const lhttpd_config_t *config);

/*
 * Sets what has a name, from text: each limit, as lhttpd_limits_set(), and
 *
 * - unix_owner: whose the sockets are that listen makes for "unix:/path": a
 *   user as for lhttpd_process_confine(), whose group they get too;
 * - unix_group: another group for them, a name or a number;
 * - unix_mode: their mode, an octal number up to 0777; who connects must be
 *   allowed to write;
 * - reload_grace_ms: what a reload finds running is cut after so many
 *   milliseconds, 60000; 0: at once;
 * - script_kill_ms: a script that runs for longer without a pause, or takes
 *   longer to load, is ended by an error with its line; 0, the default: never.
 *   SIGURG interrupts it: taken while the server runs, and passed on to the
 *   program's handler where it is not ours.  docs/limits.md: what cannot be
 *   interrupted;
 * - aio: how files are read and written: "uring" (on Linux) or "posix" (on
 *   FreeBSD), "threads", "inline" (in the worker's own thread, which then waits
 *   for its disk), or "auto", one of the first two that the system has;
 * - tls_threads: how many threads each worker has for what is long of TLS
 *   handshakes, 0 to 16; 1.  With 0, and always in a program's own loop, the
 *   worker's thread does it;
 * - kernel_tls: "on": the kernel enciphers what is sent by TLS 1.3, where it
 *   and the TLS library can; "off", the default: the library does;
 * - proxy_from: whom the server believes what it says of its clients: addresses
 *   and networks, as "192.0.2.1, fd00::/8", and "unix:" for unix sockets;
 * - forwarded: by which fields these say whose a request is: "x-forwarded-for"
 *   (and x-forwarded-proto), "forwarded" (RFC 7239) or "none";
 * - client_ca: a file as for lhttpd_server_add_client_ca(); set again, it adds
 *   another;
 * - client_verify: "required" or "optional", for all of these;
 * - log_file: where the log goes, if not to a function of the program: a file,
 *   which is opened now; "-", standard error; or "syslog";
 * - access_log: where a line for each request that has ended goes: a file,
 *   which is opened now; "-", standard output; or "syslog", the system's log
 *   under syslog_name, "lhttpd" where that is NULL;
 * - access_format: what these lines are: "common", "combined" or "json";
 * - trust_request_id: "on" or "off": is a client's own x-request-id taken?
 * - server_name: as the field of lhttpd_config_t;
 * - cache_control: the field of that name for files of directories, as
 *   "max-age=3600"; "" is none;
 * - directory_listing: "on" or "off": are directories without an index listed?
 * - mime_types: a file in the form of /etc/mime.types, read now: types of files
 *   that the built-in table does not know.
 *
 * LHTTPD_EINVAL: no such name, or not such a value.  LHTTPD_ESYSTEM: a file
 * cannot be opened, or mime_types is of another form.  LHTTPD_ECERT: client_ca
 * cannot be used.  LHTTPD_EUSER: no such user or group.  LHTTPD_ESTATE: the
 * server runs and docs/limits.md does not say "running" of this name, or the
 * unix socket was made already.  What was set last holds, while the server runs
 * from the return on, on open connections too.  LHTTPD_ENOMEM: nothing has
 * changed. Before start; or while it runs, from any thread but a worker, where
 * LHTTPD_ESTATE is also that another thread changes the server just now.
 */
LHTTPD_API int lhttpd_server_set(lhttpd_server_t *server, const char *name,
                                 const char *value);

/* --- where it listens -------------------------------------------------- */

#define LHTTPD_LISTEN_TLS      1u /* TLS; needs a certificate at start */
#define LHTTPD_LISTEN_REDIRECT 2u /* answers 308 to the first TLS port */
#define LHTTPD_LISTEN_PROXY                                                    \
    4u /* each connection begins with a PROXY header                           \
        */
#define LHTTPD_LISTEN_CHECK                                                    \
    8u /* is not opened: for lhttpd_server_check() alone                       \
        */

/*
 * Binds at once, so that privileges may be given up next; clients are accepted
 * from start on.  `address`: NULL for all (IPv6 and IPv4), a numeric address,
 * or "unix:/path", where a socket that nobody serves any more is replaced; the
 * stop removes it, if the process may, finds it there, and no other server has
 * adopted it.
 * `port`: 0 takes any free one; not used for a unix socket.  `flags`: TLS,
 * REDIRECT or neither, and PROXY: then every connection begins with a header of
 * the PROXY protocol (HAProxy's, version 1 or 2), before TLS, which says whose
 * it is; who is not named by the setting proxy_from is not served.  CHECK: the
 * listener is known to lhttpd_server_check(), but has no socket, and start
 * refuses it.  Returns the listener's number, 0 for the first.
 * LHTTPD_EADDRESS: the system refuses it, now; LHTTPD_EINVAL: there is no such
 * address, port or kind of listener, or the server has one there.  Before
 * start.
 */
LHTTPD_API int lhttpd_server_listen(lhttpd_server_t *server,
                                    const char *address, int port,
                                    unsigned flags);

/*
 * Takes over a socket that already listens.  The server owns `fd` from the
 * successful return on; the file of a unix socket stays where it is at the
 * stop.  Returns the listener's number.  LHTTPD_EADDRESS: it is no such socket;
 * LHTTPD_EINVAL: it is a listener of this server already.  Before start.
 *
 * Another server, here or in another process, may serve the socket at the same
 * time; so a server takes the place of one that runs without a client being
 * refused: adopt a duplicate of each of its sockets, start, and then stop the
 * other one.  What fcntl() and setsockopt() set holds for all who share it.
 */
LHTTPD_API int lhttpd_server_adopt(lhttpd_server_t *server, int fd,
                                   unsigned flags);

/*
 * Adopts what a service manager has opened for this process: the descriptors
 * that LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES tell of (sd_listen_fds(3)).
 * These variables are removed, so that children do not see them.  A socket's
 * name says what it speaks, by one or more of the words "http", "tls",
 * "redirect" and "proxy", with "-" between ("tls-proxy"); where it has none of
 * them, as systemd's own choice, the unit's name, `flags` say it.  Returns how
 * many were adopted; 0: none were passed, or not to this process.
 * LHTTPD_EINVAL: the variables contradict each other, or a name has such a word
 * and another one; otherwise the errors of adopt, after which the server is to
 * be destroyed.  Before start, in the process that was executed, not in one
 * that it forked, with no other thread running.
 */
LHTTPD_API int lhttpd_server_listen_fds(lhttpd_server_t *server,
                                        unsigned flags);

/* A listener's descriptor, to be duplicated and adopted by a successor, in this
 * process or by SCM_RIGHTS in another.  It stays the server's, which closes it
 * at the stop.  LHTTPD_EINVAL: there is no such listener. */
LHTTPD_API int lhttpd_server_listener_fd(const lhttpd_server_t *server,
                                         int listener);

/* The TCP port of a listener, 0 for a unix socket.  LHTTPD_EINVAL: there is no
 * such listener. */
LHTTPD_API int lhttpd_server_port(const lhttpd_server_t *server, int listener);

/*
 * A certificate chain (leaf first) and its private key, each either a file or
 * memory.  PEM; a key in memory may be DER.  RSA (2048 bits and more) and EC
 * P-256, P-384, P-521; PKCS#1, SEC1 or PKCS#8, not encrypted.  Each input may
 * hold what the other wants, parameters and requests, which are passed over; an
 * object that cannot be read is refused, and so are several private keys.
 */
typedef struct lhttpd_certificate_t {
    size_t size;
    const char *chain_file;
    const char *key_file;
    const void *chain; /* where chain_file is NULL */
    size_t chain_size;
    const void *key; /* where key_file is NULL */
    size_t key_size;
} lhttpd_certificate_t;

static inline lhttpd_certificate_t lhttpd_certificate_init(void)
{
    lhttpd_certificate_t certificate;

    lhttpd_struct_init(&certificate, sizeof(certificate));
    return certificate;
}

/* Adds a certificate.  Files are read now.  Several: chosen by the client's
 * server name (SNI) and by the key types that it can verify; the first is for
 * clients without SNI.  LHTTPD_ECERT: cannot be read or used, or the key does
 * not match; nothing has changed.  Before start; or while the server runs, from
 * any thread but a worker: it then takes the place of the first one of the same
 * names and type of key (RSA or EC), or is added, for all handshakes that begin
 * from the return on, while what has begun goes on and sessions are resumed.
 * One that has expired, or is not valid yet, is used; check, start and reload
 * warn of it.  LHTTPD_ESTATE: also that another thread changes the server just
 * now. */
LHTTPD_API int
lhttpd_server_add_certificate(lhttpd_server_t *server,
                              const lhttpd_certificate_t *certificate);

/* --- who runs it ------------------------------------------------------- */

/*
 * From now on tells the service manager that NOTIFY_SOCKET names (systemd with
 * Type=notify or notify-reload, or another that speaks as sd_notify(3) says)
 * how the server is doing: READY=1 when start has succeeded, RELOADING=1 and
 * READY=1 around each reload, STOPPING=1, and with each a STATUS for people,
 * also of why a reload failed.  MAINPID is the process that starts the server.
 * Where WATCHDOG_USEC and WATCHDOG_PID ask this process for it, WATCHDOG=1
 * goes out twice in that time, unless a worker has been inside of one script
 * for half of it.  Nothing waits for a manager for longer than a second, and no
 * worker does.  A message that is refused is told in the log, once.
 *
 * Connects at once, for a root directory would hide the socket, and removes the
 * variables, so that children do not see them.  Returns 1, or 0: there is no
 * manager.  LHTTPD_EINVAL: the variables make no sense; LHTTPD_ESYSTEM: nobody
 * is there; the server can do without.  Before start, in the process that was
 * executed, not in one that it forked, with no other thread running.
 */
LHTTPD_API int lhttpd_server_notify(lhttpd_server_t *server);

/*
 * Whom clients' certificates have to be from: the certificates of authorities,
 * PEM, a file or memory (one certificate may be DER).  A certificate that is no
 * authority's is trusted itself.  Keys RSA (2048 bits and more) and EC on
 * P-256, P-384, P-521; with OpenSSL Ed25519, too.
 */
typedef struct lhttpd_client_ca_t {
    size_t size;
    const char *file;
    const void *pem; /* where file is NULL */
    size_t pem_size;
    int optional; /* 0: every client must have a certificate that verifies */
} lhttpd_client_ca_t;

static inline lhttpd_client_ca_t lhttpd_client_ca_init(void)
{
    lhttpd_client_ca_t ca;

    lhttpd_struct_init(&ca, sizeof(ca));
    return ca;
}

/*
 * Asks every client of a TLS listener for a certificate from this authority, or
 * one of those that were added before.  Without one that verifies the handshake
 * fails, with an alert and a line at level INFO that says why; where `optional`
 * is set it goes on, and env.SSL_CLIENT_VERIFY tells the script.  All of a
 * server's must be optional or none (LHTTPD_EINVAL; the setting client_verify
 * decides it too).  A reload reads the files again.  LHTTPD_ECERT: it cannot be
 * read or used; the words say why.  Before start.
 */
LHTTPD_API int lhttpd_server_add_client_ca(lhttpd_server_t *server,
                                           const lhttpd_client_ca_t *ca);

/* --- what it serves ---------------------------------------------------- */

/* Maps a URL prefix, with or without its leading "/", to a script, source or
 * bytecode.  The file is read by check and by start.  LHTTPD_EINVAL: the prefix
 * is no path, or has a script already.  Before start. */
LHTTPD_API int lhttpd_server_map_script(lhttpd_server_t *server,
                                        const char *prefix, const char *path);

/* The same from memory; `name` stands for the path in messages. */
LHTTPD_API int lhttpd_server_map_source(lhttpd_server_t *server,
                                        const char *prefix, const char *name,
                                        const void *bytes, size_t size);

/* How the files of a directory are served; fields of zero mean the defaults. */
typedef struct lhttpd_directory_t {
    size_t size;
    const char *cache_control; /* NULL: as the setting of that name */
    const char *index;         /* NULL: "index.html"; "": none */
    int uncompressed;          /* leave .br and .gz beside a file alone */
    int listing; /* directories without an index: 1 lists them, -1 does not; 0:
                    as the setting directory_listing */
} lhttpd_directory_t;

static inline lhttpd_directory_t lhttpd_directory_init(void)
{
    lhttpd_directory_t directory;

    lhttpd_struct_init(&directory, sizeof(directory));
    return directory;
}

/*
 * Maps a URL prefix to the files of a directory, which are served without Lua:
 * GET and HEAD, with entity tags, conditional requests and ranges (RFC 9110, 13
 * and 14), compressed where there is a .br or .gz beside the file that is not
 * older.  No path leads out of the directory, links that do are 403; names that
 * begin with a dot are 404, but for .well-known at its top; what is no
 * regular file is 403.  Of the prefixes of scripts and directories the longest
 * that fits has a request; what a directory has not is answered by "/notfound"
 * of the script at "/", if there is one.  Check, start and reload look whether
 * it is there, and each request opens it anew by its path.  `options` may be
 * NULL; strings are copied.  LHTTPD_EINVAL: the prefix is no path, or has a
 * script or directory already, or an option is none.  Before start.
 */
LHTTPD_API int lhttpd_server_map_directory(lhttpd_server_t *server,
                                           const char *prefix,
                                           const char *directory,
                                           const lhttpd_directory_t *options);

/*
 * How the Lua VMs of a mapping are made.  One VM per worker and mapping; all
 * three run in the thread that calls check, start or reload (httpd.reload() has
 * one of its own), one at a time, except destroy, which also runs in wait and
 * destroy, and after a reload on the worker threads, several at once.  The C
 * functions that setup adds run there too, and must not block: for what takes
 * long see the next section.
 */
typedef struct lhttpd_vm_factory_t {
    size_t size;
    int lua_version; /* the program's LUA_VERSION_NUM */
    void *context;
    /* A new state, or NULL on failure.  NULL: luaL_newstate, luaL_openlibs. */
    struct lua_State *(*create)(void *context, unsigned worker);
    /* Called under pcall with (light userdata context, worker number) once the
     * httpd module is there and before the script; its error is start's. */
    int (*setup)(struct lua_State *L);
    /* NULL: lua_close. */
    void (*destroy)(void *context, struct lua_State *L);
} lhttpd_vm_factory_t;

static inline lhttpd_vm_factory_t lhttpd_vm_factory_init(void)
{
    lhttpd_vm_factory_t factory;

    lhttpd_struct_init(&factory, sizeof(factory));
    return factory;
}

/* Sets the factory of one prefix, or with NULL of every one that has none of
 * its own; a second one takes the place of the first.  A prefix that has a
 * factory and no script is served by the handlers that setup registers.
 * LHTTPD_EINVAL: the prefix is no path.  A lua_version that is not the
 * library's is an error of check and start.  Before start. */
LHTTPD_API int
lhttpd_server_register_vm_factory(lhttpd_server_t *server, const char *prefix,
                                  const lhttpd_vm_factory_t *factory);

/* --- C functions that wait --------------------------------------------- */

/*
 * A C function that a VM factory has given to scripts may wait for a device
 * without holding its worker: it suspends the handler that has called it, at
 * any depth, and the worker serves others.  It does so by its last statement:
 *
 *     static int ask(lua_State *L)
 *     {
 *         lhttpd_task_t *task = lhttpd_task_begin(L);
 *
 *         if (!task)
 *             return luaL_error(L, "cannot wait here");
 *         give_to_a_thread(task, luaL_checkstring(L, 1));
 *         return lhttpd_task_suspend(L, task, 5000);
 *     }
 *
 * Once the answer is there, that thread calls lhttpd_task_resume() with a
 * function, the finish, which makes the results of ask().  A finish runs on
 * the worker, with the request of the handler; its lua_State is one of the
 * handler's VM with an empty stack (not the one of the function that has
 * waited), on which it pushes the results, at most 16; it returns their number.
 * It may raise, which the handler sees as an error of the function; and it may
 * wait once more, by the same last statement.
 *
 * A handler cannot be suspended everywhere: not while a script loads, in
 * finalizers, inside a function in C that calls back, such as table.sort, and
 * on Lua 5.1 not inside pcall, metamethods and iterators, nor where the C
 * function is the handler (on LuaJIT and 5.4 it can there).
 */

/* A handler that waits, or will: a number, not an address. */
typedef struct lhttpd_task_t lhttpd_task_t;

/*
 * Begins a wait of the handler that has called the C function.  What it returns
 * may be given to any thread; it is to be passed to lhttpd_task_resume() once,
 * and needs no other end: it is ended with its handler too.  NULL: the handler
 * cannot be suspended here, or there is no memory, or 32768 waits are open in
 * the process.
 */
LHTTPD_API lhttpd_task_t *lhttpd_task_begin(struct lua_State *L);

/*
 * Suspends the handler until that task is resumed, which may have happened
 * already.  To be used as the C function's return: `return
 * lhttpd_task_suspend(L, task, 5000)`.  The function's results are those of the
 * finish, true where it is NULL; or nil and "timeout" after `timeout_ms`
 * milliseconds (negative: never), nil and "closed" when the client has gone or
 * the server's grace is over, nil and "stopping" when the server stops and
 * there is a time-out.  Whoever resumes after one of these is told so.  A task
 * that was suspended before, or is not this handler's, is an error of Lua.
 */
LHTTPD_API int lhttpd_task_suspend(struct lua_State *L, lhttpd_task_t *task,
                                   int timeout_ms);

/*
 * Resumes it, from any thread, before or after the suspend.  Then `finish`
 * (NULL: none) is called exactly once with `data`: on the worker, or with a
 * lua_State that is NULL where the handler has gone meanwhile, to free `data`;
 * that may be in the thread that calls this, where the worker ends just now.
 * LHTTPD_ESTATE: it was resumed before, or its wait has ended otherwise, its
 * handler or its server too, or this is a forked child; `finish` is not called,
 * and `data` is still the caller's.  It never waits, and locks nothing.
 */
LHTTPD_API int
lhttpd_task_resume(lhttpd_task_t *task,
                   int (*finish)(struct lua_State *L, void *data), void *data);

#define LHTTPD_WAIT_READ  1u /* there are octets, the end or an error */
#define LHTTPD_WAIT_WRITE 2u /* there is room */

/*
 * Suspends the handler until `fd`, the program's own, is ready for one of
 * `events`, and for at most `timeout_ms` milliseconds (negative: for ever).  To
 * be used as the C function's return.  `finish` is called exactly once, on the
 * worker, with the outcome:
 *
 * - 0: it is ready (a file of a disk always is);
 * - LHTTPD_ETIMEOUT, LHTTPD_ECLOSED (the client has gone, or the grace is
 * over), LHTTPD_ESTOPPING (the server stops, and there is a time-out);
 * - LHTTPD_ESTATE: the handler cannot be suspended here; LHTTPD_EINVAL: no such
 *   events; LHTTPD_ESYSTEM: no such descriptor, or too many are open;
 *   LHTTPD_ENOMEM: all of these at once, before anything was done;
 * - any, with a lua_State that is NULL: the handler has gone; free `data`.
 *
 * `fd` should not block; it is read or written by the finish, and may be closed
 * by the program at any time.  Several handlers may wait for one.
 */
LHTTPD_API int lhttpd_task_wait_fd(
    struct lua_State *L, int fd, unsigned events, int timeout_ms,
    int (*finish)(struct lua_State *L, int outcome, void *data), void *data);

/* --- in a program's own loop ------------------------------------------- */

/*
 * Instead of lhttpd_server_start(): everything is served by one worker inside
 * the program's own loop, in the thread that calls this, and there is no thread
 * of the library's.  Errors are those of start, and LHTTPD_EINVAL where the
 * configuration asks for several workers, or script_kill_ms is set, which needs
 * a thread.
 *
 *     struct pollfd p = {lhttpd_server_fd(server), POLLIN, 0};
 *
 *     do
 *         poll(&p, 1, -1);
 *     while (lhttpd_server_run_once(server, 0) == 1);
 *
 * Operations on files are io_uring's (whose helpers are the kernel's threads of
 * this process), or those of a few helper threads where the kernel refuses it;
 * with the setting aio=inline they are done in place, and the loop waits for
 * the disk.  TLS handshakes are done in place, a millisecond or two each.
 * Nobody names in the log what holds the loop (handler_run_ms raises in the
 * handler as ever).  lhttpd_server_wait() and lhttpd_server_stop() turn the
 * loop themselves until the server has stopped.
 */
LHTTPD_API int lhttpd_server_attach(lhttpd_server_t *server);

/* The descriptor to watch, for reading: it is readable when there is something
 * to do, also when a time has come.  It stays the same until the stop, and is
 * the server's: nothing but run_once reads it.  LHTTPD_ESTATE: the server is
 * not attached, or has stopped.  Any thread. */
LHTTPD_API int lhttpd_server_fd(const lhttpd_server_t *server);

/* For loops that have timers of their own: in how many milliseconds run_once is
 * due, 0: at once, -1: when the descriptor is readable.  In the thread that has
 * attached it. */
LHTTPD_API int lhttpd_server_next_timeout(const lhttpd_server_t *server);

/*
 * Takes one turn, which may wait for at most `timeout_ms` milliseconds until
 * there is something to do (0: not; -1: for ever): a turn is a few
 * milliseconds, unless a script takes longer.  Returns 1; or 0 once the server
 * has stopped, or LHTTPD_ECUT or LHTTPD_ESTUCK where lhttpd_server_wait() would
 * return it, and then is not called any more.  A reload that a script has asked
 * for is done here, after the turn.  In the thread that has attached it, and
 * not from its own callbacks; LHTTPD_ESTATE otherwise.
 */
LHTTPD_API int lhttpd_server_run_once(lhttpd_server_t *server, int timeout_ms);

/* --- running and stopping ---------------------------------------------- */

/* Says what would keep start from succeeding, as far as that can be known
 * before: loads every script and runs every setup in throw-away VMs, and looks
 * at listeners and certificates.  Errors are those of start, but for what the
 * system may refuse it; what start warns of is logged.  Listeners need not be
 * opened for that (LHTTPD_LISTEN_CHECK).  Any number of times, before start. */
LHTTPD_API int lhttpd_server_check(lhttpd_server_t *server);

/*
 * Makes the VMs, starts the worker threads and returns when they serve.
 *
 * - LHTTPD_ESCRIPT: a script or a setup failed, or a script's file cannot be
 *   read; the words have the script's line.
 * - LHTTPD_EINVAL: LHTTPD_LISTEN_REDIRECT, and no TCP port speaks TLS;
 *   LHTTPD_LISTEN_PROXY or forwarded without proxy_from, or where that names
 *   nobody who can connect to the listener; authorities of clients without a
 *   TLS listener, client_verify without authorities; a TLS listener without a
 *   certificate; LHTTPD_LISTEN_CHECK.
 * - LHTTPD_ESYSTEM: the system refuses descriptors (none would be left for a
 *   client), random octets, or a thread.
 *
 * After a failure the server is in setup as before, with its listeners: mend
 * what was wrong and start again.  Only where a worker's thread was refused
 * (LHTTPD_ESYSTEM) has it stopped, as the next start then says.
 */
LHTTPD_API int lhttpd_server_start(lhttpd_server_t *server);

/*
 * Reads the scripts, runs the VM factories and reads the certificate files
 * again, all before anything changes: on failure the server goes on as it was,
 * and the words say why.  From the return on, new requests are served by the
 * new VMs, on open connections too, and new handshakes use the new
 * certificates.  What runs in an old VM ends there: to it the reload is a stop
 * (httpd.stopping() is true, waits with a time-out of their own end with
 * "stopping"); it is cut after the setting reload_grace_ms, 60000.  Each old VM
 * is closed by its worker once nothing runs in it.  A certificate whose files
 * cannot be read since lhttpd_process_confine() stays as it was; the log says
 * so, at start already.  The call blocks while scripts load.  LHTTPD_ECERT,
 * LHTTPD_ESCRIPT, LHTTPD_ENOMEM: as start.  LHTTPD_ESTATE: the server does not
 * run or stops, or another thread changes it just now.  From any thread but a
 * worker, where a script calls httpd.reload().
 */
LHTTPD_API int lhttpd_server_reload(lhttpd_server_t *server);

/*
 * Opens the files of logs again by their paths, after somebody has moved them
 * away: all of them or none; one that is still in its place stays open.  What
 * was written before is in the old files, what comes in the new ones, and no
 * line is lost between.  LHTTPD_ESYSTEM: one cannot be opened; all stay as they
 * were.  Where lhttpd_process_confine() has put that out of reach, the log says
 * so at start.  LHTTPD_ESTATE: the server has stopped, or another thread
 * changes it just now.  From any thread but a worker, in setup too.
 */
LHTTPD_API int lhttpd_server_reopen(lhttpd_server_t *server);

/*
 * A descriptor, the server's own, that is readable from when
 * lhttpd_server_wait() would return at once, for a program that waits for other
 * things too.  Only to be watched.  LHTTPD_ESYSTEM: there is no room for it.
 * While it runs, by start.
 */
LHTTPD_API int lhttpd_server_wait_fd(lhttpd_server_t *server);

/* Begins to stop and returns at once.  Listeners close; clients that have
 * connected by then, in the kernel's queue too, have one request served, if it
 * begins within a second (a TLS handshake has its usual time before).  All that
 * is under way has `grace_ms` to end.  From any thread, from a signal handler
 * and from a handler's C function; a further call may only shorten the grace.
 * Nothing happens before start and after the stop; not once destroy was called.
 */
LHTTPD_API void lhttpd_server_shutdown(lhttpd_server_t *server,
                                       unsigned grace_ms);

/* Waits until a server that was told to shut down has stopped.  LHTTPD_ECUT:
 * the grace ran out and requests were cut.  LHTTPD_ESTUCK: a script or a
 * file operation does not return; its thread and memory stay behind, after
 * destroy too, and its callbacks may still run; listeners are closed.  Not on a
 * worker thread. */
LHTTPD_API int lhttpd_server_wait(lhttpd_server_t *server);

/* lhttpd_server_shutdown() and lhttpd_server_wait(). */
LHTTPD_API int lhttpd_server_stop(lhttpd_server_t *server, unsigned grace_ms);

/* Frees the server; a running one is stopped first, without grace.  NULL is
 * allowed.  After it no callback runs, unless a script is stuck (see wait). Not
 * on a worker thread (ignored). */
LHTTPD_API void lhttpd_server_destroy(lhttpd_server_t *server);

/* --- what handlers share ------------------------------------------------- */

/*
 * Gives a message to every handler, on every worker, that has subscribed to the
 * channel (httpd.subscribe in docs/lua-api.md).  It is copied once, however
 * many there are; with none, nothing happens.  A subscriber gets the messages
 * of one thread in the order of its calls.  The call never waits: who does not
 * read in time loses its oldest ones, and a worker that is held by a script
 * loses what no longer fits in the 4 MiB, or four times channel_bytes, that
 * wait for it; both are counted.  `channel` has at most 1024 octets.
 * LHTTPD_EINVAL: that is longer, or the message than channel_bytes.
 * LHTTPD_ENOMEM: nobody gets it.  LHTTPD_ESTATE: the server does not run; while
 * it stops it does.  Any thread, handlers' C functions too.
 */
LHTTPD_API int lhttpd_server_publish(lhttpd_server_t *server,
                                     const char *channel, const void *data,
                                     size_t n);

/* What a shared value is. */
typedef enum lhttpd_kind_t {
    LHTTPD_NONE = 0, /* there is none */
    LHTTPD_TEXT,
    LHTTPD_NUMBER,
    LHTTPD_INTEGER, /* scripts of Lua 5.4 tell them apart */
    LHTTPD_BOOLEAN
} lhttpd_kind_t;

/* A shared value: what belongs to its kind; the rest is zero. */
typedef struct lhttpd_value_t {
    size_t size;
    lhttpd_kind_t kind;
    int boolean;
    double number;
    int64_t integer;
    const void *text;  /* any octets */
    size_t text_bytes; /* of all of it, though get copies no more than fits */
    void *room;        /* the program's, where get copies it; NULL: nowhere */
    size_t room_bytes;
} lhttpd_value_t;

static inline lhttpd_value_t lhttpd_value_init(void)
{
    lhttpd_value_t value;

    lhttpd_struct_init(&value, sizeof(value));
    return value;
}

/*
 * Sets or gets a value that handlers share (httpd.shared in docs/lua-api.md).
 * Before start that is done at once, and so it is in a program's own loop, by
 * its thread outside of run_once.  While the server runs it is asked for
 * where it is kept, by a worker: the call waits for that worker's next turn, at
 * most timeout_ms (-1: for ever).  `seconds`: how long it lives, 0 for ever. To
 * set LHTTPD_NONE takes the value away; get gives that where there is none.
 * LHTTPD_EINVAL: there is no such kind, or the value takes more than one
 * worker's share of shared_bytes.  LHTTPD_ETIMEOUT: what was to be set may be
 * set yet.  LHTTPD_ESYSTEM: the system has no descriptors.  LHTTPD_ESTATE: the
 * server has stopped.  Before start, or any thread but a worker.
 */
LHTTPD_API int lhttpd_server_shared_set(lhttpd_server_t *server,
                                        const char *key,
                                        const lhttpd_value_t *value,
                                        unsigned seconds, int timeout_ms);
LHTTPD_API int lhttpd_server_shared_get(lhttpd_server_t *server,
                                        const char *key, lhttpd_value_t *value,
                                        int timeout_ms);

/* --- statistics -------------------------------------------------------- */

#define LHTTPD_LATENCY_BUCKETS 28

/* How long requests took, in microseconds.  counts[0]: at most 1; counts[i]: at
 * most 2 to the power of i, and more than half of that; the last one also all
 * that took longer.  Their sum is the number of requests. */
typedef struct lhttpd_latency_t {
    uint64_t sum_us;
    uint64_t counts[LHTTPD_LATENCY_BUCKETS];
} lhttpd_latency_t;

/* How requests went that have ended.  It is part of other structs, and does not
 * grow. */
typedef struct lhttpd_requests_t {
    uint64_t status_2xx; /* by the status of the answer ... */
    uint64_t status_3xx;
    uint64_t status_4xx;
    uint64_t status_5xx;
    uint64_t unanswered;   /* ... or no status has left */
    uint64_t complete;     /* the client's system got all of the answer */
    uint64_t gone;         /* the client went before */
    uint64_t timed_out;    /* it took nothing for too long */
    uint64_t cut;          /* by the server: a handler that failed late, a
                              stop, a broken protocol */
    lhttpd_latency_t head; /* until the answer's header left */
    lhttpd_latency_t end;  /* until the end */
} lhttpd_requests_t;

/*
 * What a server has done since its start, and what there is now ("now"), all
 * workers together; counts survive reloads, and the stop.  TCP is plain TCP,
 * and TLS is TLS on whatever socket.
 */
typedef struct lhttpd_stats_t {
    size_t size;
    uint64_t uptime_ms;
    uint64_t workers;
    uint64_t workers_stuck;   /* now in one turn for longer than
                                 handler_run_ms; where script_kill_ms is set,
                                 a second longer than that */
    uint64_t present_turn_ms; /* now: of the worker that is longest in one
                                 turn; what keeps growing is stuck */
    uint64_t turns;           /* of the workers' loops */
    uint64_t long_turns;      /* those of 100 ms and more */
    uint64_t longest_turn_ms;
    uint64_t connections;      /* now, and of these: */
    uint64_t connections_idle; /* between two requests */
    uint64_t connections_tcp;
    uint64_t connections_tls;
    uint64_t connections_unix;
    uint64_t accepted_tcp; /* connections in all */
    uint64_t accepted_tls;
    uint64_t accepted_unix;
    uint64_t refused_limit;   /* times that clients had to wait because
                                 of the limit "connections" */
    uint64_t refused_system;  /* ... because the system had no descriptors
                                 or no memory */
    uint64_t refused_memory;  /* clients closed for lack of memory */
    uint64_t closed_for_room; /* idle ones closed to make room */
    uint64_t octets_in;       /* of sockets, TLS's own included */
    uint64_t octets_out;
    uint64_t tls_full; /* handshakes */
    uint64_t tls_resumed;
    uint64_t tls_failed;
    uint64_t requests_open;   /* now: a request with its response */
    uint64_t tasks_running;   /* now: handlers that run or could */
    uint64_t tasks_waiting;   /* now: handlers that wait */
    uint64_t vms;             /* now, old ones of a reload too */
    uint64_t vm_memory_bytes; /* by all VMs, as of some 100 ms ago */
    uint64_t vm_memory_limit; /* of each; LHTTPD_UNLIMITED */
    uint64_t vm_memory_hits;  /* times that a VM met it */
    uint64_t reloads;         /* that succeeded */
    uint64_t files_pending;   /* now: operations on files */
    uint64_t files_done;
    uint64_t files_by_uring;     /* workers whose files go this way, */
    uint64_t files_by_threads;   /* ... and this */
    uint64_t children;           /* now: processes of scripts that run */
    uint64_t log_lines_left_out; /* too many of a kind at once */
    uint64_t requests_http10;    /* that have ended, by protocol */
    uint64_t requests_http11;
    uint64_t requests_http2;
    uint64_t handlers;            /* see lhttpd_server_handler_stats() */
    lhttpd_requests_t requests;   /* all that have ended */
    uint64_t channels;            /* now: with a subscriber, of each worker */
    uint64_t channel_subscribers; /* now */
    uint64_t channel_messages;    /* that workers have given to subscribers */
    uint64_t channel_dropped;     /* by full queues, counted for each */
    uint64_t channel_lost;        /* before a busy worker took them */
    uint64_t shared_values;       /* now */
    uint64_t shared_bytes;        /* now, of the limit "shared_bytes" */
    uint64_t shared_evicted;      /* values that had to go for others */
    uint64_t scripts_ended;       /* by script_kill_ms */
    uint64_t access_lost;         /* lines of the access log */
    uint64_t sockets_open;        /* now: of httpd.connect, those too that are
                                     being made */
    uint64_t sockets_connected;   /* ... that were made, TLS and all */
    uint64_t sockets_failed;      /* ... that were not, timed out, or were over
                                     the limit "sockets" */
} lhttpd_stats_t;

static inline lhttpd_stats_t lhttpd_stats_init(void)
{
    lhttpd_stats_t stats;

    lhttpd_struct_init(&stats, sizeof(stats));
    return stats;
}

/* Fills in `stats`, as much as its size has room for.  From any thread and at
 * any time, a handler's C function too; it never waits, and no worker waits for
 * it.  Counts are read one by one while the workers go on, so two of them may
 * be a moment apart. */
LHTTPD_API int lhttpd_server_stats(const lhttpd_server_t *server,
                                   lhttpd_stats_t *stats);

/* Of one handler of a script.  The strings are valid until destroy. */
typedef struct lhttpd_handler_stats_t {
    size_t size;
    const char *prefix; /* that its script is mapped to: "/app" */
    const char *script; /* its path or name; NULL: a VM factory alone */
    const char *name;   /* as it was registered: "/list" */
    uint64_t vms;       /* that have it now; 0: since a reload none has */
    lhttpd_requests_t requests;
} lhttpd_handler_stats_t;

static inline lhttpd_handler_stats_t lhttpd_handler_stats_init(void)
{
    lhttpd_handler_stats_t stats;

    lhttpd_struct_init(&stats, sizeof(stats));
    return stats;
}

/* The same of handler number `index`, counted from 0: every one that a script
 * of this server has registered since its creation, under a number that it
 * keeps.  LHTTPD_EINVAL: past the last. */
LHTTPD_API int lhttpd_server_handler_stats(const lhttpd_server_t *server,
                                           unsigned index,
                                           lhttpd_handler_stats_t *stats);

/* --- the process ------------------------------------------------------- */

/*
 * What a program that is a server and nothing else does first, with no other
 * thread running: descriptors 0 to 2 that are closed are opened to /dev/null,
 * so that no file and no client gets their numbers; all others that the process
 * was started with become close-on-exec, so that no script's child gets them;
 * the soft limit of open descriptors is raised to the hard one.
 * LHTTPD_ESYSTEM: a standard descriptor cannot be opened.
 */
LHTTPD_API int lhttpd_process_prepare(void);

/*
 * What process 1, a container's first, owes to the others: it forks, and the
 * parent collects every process that loses its own parent, passes signals on to
 * the child and ends with its status, or 128 and the number of the signal that
 * ended it.  Returns in the child; at once where the caller is not process 1.
 * The child ignores SIGHUP and SIGUSR1 until it handles them: without a handler
 * they would not end process 1 either.  With no other thread running.
 * LHTTPD_ESYSTEM: it cannot fork.
 */
LHTTPD_API int lhttpd_process_supervise(void);

/*
 * Gives up privileges: looks up `user` (a name, or numbers as "uid" or
 * "uid:gid"), enters `root_directory` with chroot, where the working directory
 * becomes "/", and becomes the user for good.  Either may be NULL.  For the
 * whole process, before start, and with no other thread running.  The words of
 * an error are in lhttpd_server_error(NULL).
 *
 * - LHTTPD_EUSER: there is no such user, or the process may not become it.
 * - LHTTPD_ESYSTEM: the root directory cannot be entered.
 *
 * After a failure the process may be in the new root directory already: it
 * should end.
 */
LHTTPD_API int lhttpd_process_confine(const char *user,
                                      const char *root_directory);

/* What lhttpd_process_daemonize() leaves for lhttpd_process_ready(). */
typedef struct lhttpd_daemon_t {
    size_t size;
    int notify_fd;
    int null_fd;
} lhttpd_daemon_t;

static inline lhttpd_daemon_t lhttpd_daemon_init(void)
{
    lhttpd_daemon_t daemon;

    lhttpd_struct_init(&daemon, sizeof(daemon));
    return daemon;
}

/* Forks into the background: returns in a child, in a session that is not the
 * caller's, that has no terminal and gets none by opening one.  The first
 * process waits and exits with 0 once the child has called
 * lhttpd_process_ready(), or with 1 if the child ends before.  Call it first,
 * with no other thread running.  LHTTPD_ESTATE: the caller is process 1, whose
 * end would end its container.  LHTTPD_ESYSTEM: a call failed. */
LHTTPD_API int lhttpd_process_daemonize(lhttpd_daemon_t *daemon);

/* Lets the parent exit with 0; the standard descriptors become /dev/null.
 * LHTTPD_ESTATE: the process was not put into the background, or this was
 * called before.  LHTTPD_ESYSTEM: /dev/null cannot take a descriptor's place.
 */
LHTTPD_API int lhttpd_process_ready(lhttpd_daemon_t *daemon);

/*
 * The rest of a daemon's main(), in one call: starts the server, calls
 * lhttpd_process_ready() where `daemon` is not NULL, and serves until a signal,
 * or a lhttpd_server_shutdown(), stops the server.
 *
 * - SIGTERM, SIGINT: stop, with `grace_ms` for requests under way; a second one
 *   cuts them, or ends the process with status 1 while it still starts.
 * - SIGHUP: as httpd.reload() of a script, in a thread of its own; the log says
 *   why one failed.
 * - SIGUSR1: lhttpd_server_reopen(), once no reload is under way; likewise.
 * - SIGPIPE, SIGXFSZ: nothing.
 *
 * Returns what start or ready has failed with, or else what
 * lhttpd_server_wait() returns; the server is to be destroyed.  The signals
 * stay caught, and mean nothing after the return.  LHTTPD_ESTATE: the process
 * serves already.  No other thread of the program needs to know: a signal may
 * find any.
 */
LHTTPD_API int lhttpd_process_serve(lhttpd_server_t *server,
                                    lhttpd_daemon_t *daemon, unsigned grace_ms);

/* --- words ------------------------------------------------------------- */

/* Writes a line of the program's own to the server's log: cleaned, at its level
 * and never waiting, as the server's lines.  Any thread, in every state. */
LHTTPD_API void lhttpd_server_log(const lhttpd_server_t *server,
                                  lhttpd_log_level_t level,
                                  const char *message);

/* The class of an error, a constant string; never NULL. */
LHTTPD_API const char *lhttpd_strerror(int error);

/* The last error of a server in words, valid until the next call on it; of a
 * call that any thread may make while it runs, in the same thread only.  With
 * NULL: of this thread's last failed call that had no server. */
LHTTPD_API const char *lhttpd_server_error(const lhttpd_server_t *server);

/* The library's version, "0.1.0". */
LHTTPD_API const char *lhttpd_version(void);

/*
 * What the library was built with, words with spaces between them:
 *
 * - "luajit", "lua5.4", "lua5.3" or "lua5.1": the VM
 * - "tls", and "bearssl" or "openssl", which it is by; "tls1.3"
 * - "http2"
 * - "files": scripts have files and processes
 *
 * What is left out of a build is refused where it is asked for: a TLS listener
 * (LHTTPD_EINVAL), a certificate (LHTTPD_ECERT).  Constant.
 */
LHTTPD_API const char *lhttpd_features(void);

/* 1 if it is one of these words, else 0. */
LHTTPD_API int lhttpd_feature(const char *name);

#ifdef __cplusplus
}
#endif

#endif
