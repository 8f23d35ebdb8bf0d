---@meta httpd

-- What the Lua language server is to know of the module httpd, for completion and
-- checks in an editor: add the directory of this file to `workspace.library`.
-- docs/lua-api.md, lhttpd's manual for scripts, says more.

---The functions of a handler's server: for each request, its answer, files and
---processes. No function blocks the server.
---@class httpd
---@field _VERSION string the server's version
httpd = {}

---What a call returns that the world has not allowed: the client has gone, time is
---up. For files it is io's text.
---@alias httpd.problem
---| "closed"
---| "timeout"
---| "stopping"
---| "too large"
---| "malformed"
---| string

---A request by the names of CGI; more than `pairs` shows can be asked for by name.
---@class httpd.env
---@field SERVER_SOFTWARE string the name that the `server` field carries
---@field SERVER_PROTOCOL "HTTP/1.0"|"HTTP/1.1"|"HTTP/2"
---@field SERVER_ADDR string the connection's local address
---@field SERVER_PORT integer
---@field CLIENT_ADDR string the client's address; "unix" on a unix socket
---@field CLIENT_PORT integer 0 on a unix socket
---@field SCRIPT_FILENAME string the script's name as it was mapped
---@field SCRIPT_PREFIX string the prefix it is mapped to; "/" for the root
---@field HANDLER_NAME string the name that the handler was registered with
---@field DATE_UTC string the time of the request, as in a `date` field
---@field QUERY_INFO? string what follows the `?`, not decoded
---@field PUSH_PROMISE? 1 the client accepts pushes
---@field REQUEST_METHOD string
---@field REQUEST_URI string path and query as sent
---@field PATH_INFO? string what the `*` of the handler's name stands for, decoded
---@field QUERY_STRING string "" without a query
---@field CONTENT_LENGTH? string
---@field CONTENT_TYPE? string
---@field SCRIPT_NAME string
---@field SERVER_NAME string
---@field REMOTE_ADDR string
---@field REMOTE_PORT string
---@field REQUEST_ID? string its name in logs: 32 hexadecimal digits, or the client's
---@field PEER_ADDR string who is connected: the proxy, or else the client
---@field PEER_PORT integer
---@field HTTPS? "on"
---@field SSL_PROTOCOL? string
---@field SSL_CIPHER? string
---@field SSL_SERVER_NAME? string the name that the client asked for
---@field SSL_CLIENT_VERIFY? string "SUCCESS", "NONE" or "FAILED:" and why
---@field SSL_CLIENT_S_DN? string the subject of the client's certificate
---@field SSL_CLIENT_FINGERPRINT? string its SHA-256 in hex
---@field WORKER integer

---The request's fields by name, in any case, and `method`, `path`, `scheme`,
---`authority` and `host`.
---@alias httpd.fields table<string, string?>

---Registers a handler, while the script loads.
---@param name string begins with "/"; may end in "/*"
---@param handler fun(env: httpd.env, header: httpd.fields)
function httpd.register_handler(name, handler) end

---Starts the response, or sends an informational one (a status below 200), or
---promises a push (`:path` and no status).
---@param table table<string, string|number|(string|number)[]>
---@return boolean? # true; false: the client accepts no pushes
---@return "closed"? problem
function httpd.header(table) end

---Sends data to the client, or writes it to a file.
---@param stream file*|httpd.socket|nil nil: the client
---@param data string|number|(string|number)[]|nil
---@param timeout? number seconds
---@return integer? # bytes taken
---@return httpd.problem? problem
---@return integer? code of a file's error
---@overload fun(ws: httpd.websocket, data: string|number|(string|number)[], kind?: "text"|"binary", timeout?: number): integer?, httpd.problem?
function httpd.write(stream, data, timeout) end

---Reads the request's body, or from a file. A nil alone is the end. Of what
---`httpd.subscribe` and `httpd.websocket` return it reads a message.
---@param stream file*|httpd.socket|httpd.subscription|nil nil: the request's body
---@param length? integer|"l"|"L"|"a" nothing: what is there
---@param timeout? number seconds
---@return string?
---@return httpd.problem? problem
---@return integer? code of a file's error
---@overload fun(ws: httpd.websocket, n?: integer, timeout?: number): string?, "text"|"binary"|httpd.problem|nil, boolean?
---@overload fun(part: httpd.part, length?: integer|"l"|"L"|"a", timeout?: number): string?, httpd.problem?, string?
function httpd.read(stream, length, timeout) end

---A part of a form; `httpd.read` reads what it has.
---@class httpd.part
---@field name string of the form's field
---@field filename? string what the client calls the file, "" for none; not a path
---@field type? string its content-type

---Takes the body apart that is a form with files, for a loop over its parts. An error
---of the loop is a form that cannot be read, ends early or goes past a limit.
---@param limits? {parts?: integer, part_bytes?: integer, header_bytes?: integer, name_bytes?: integer}
---@param timeout? number seconds for each step
---@return fun(): httpd.part?
function httpd.multipart(limits, timeout) end

---As io.open, but a slow disk or network does not hold up others.
---@param path string
---@param mode? string as io.open's
---@param timeout? number seconds
---@return file*?
---@return string? problem
---@return integer? code
function httpd.open(path, mode, timeout) end

---A file of a descriptor that C code hands over; the file closes it.
---@param fd integer
---@param mode? string as io.open's, for which it is open
---@return file*?
---@return string? problem
---@return integer? code
function httpd.fdopen(fd, mode) end

---As file:close(); for a process it waits until that has ended.
---@param file file*
---@param timeout? number seconds
---@return boolean?
---@return "exit"|"signal"|string|nil
---@return integer?
---@overload fun(subscription: httpd.subscription): true
---@overload fun(socket: httpd.socket, half?: "write"): boolean?, string?, integer?
---@overload fun(ws: httpd.websocket, code?: integer, reason?: string): true
function httpd.close(file, timeout) end

---Returns true once the file is on the disk.
---@param file file*
---@param timeout? number seconds
---@return boolean?
---@return string? problem
---@return integer? code
function httpd.sync(file, timeout) end

---Sends a file to the client, without a copy where that can be.
---@param file string|file* its path, or open
---@param offset? integer 0
---@param length? integer all that follows
---@param timeout? number seconds
---@return integer? # bytes
---@return httpd.problem? problem
---@return integer? code
function httpd.sendfile(file, offset, length, timeout) end

---@class httpd.serve_options
---@field root? string the directory that the path lies in, and is not led out of
---@field index? string|false the page of a directory; "index.html"
---@field type? string `content-type`, instead of what the name says
---@field listing? boolean a directory without that page is listed
---@field cache_control? string
---@field download? string|boolean a file name for the client to store it as
---@field compressed? boolean false: leave `.br` and `.gz` beside it alone
---@field fields? table<string, string|number|(string|number)[]> further fields
---@field status? integer for pages of errors

---Answers the request with a file: type, entity tag, conditions and ranges. Returns
---the status, once the response has all of it.
---@param path string
---@param options? httpd.serve_options
---@return integer? status
---@return httpd.problem? problem
function httpd.serve_file(path, options) end

---@class httpd.popen_options
---@field mode? "r"|"w" the file reads the program's output, or writes its input
---@field stdin? string with "r": its input, empty otherwise
---@field stderr? "stdout" errors go where the output goes; else to the server's
---@field env? table<string, string> its whole environment
---@field directory? string where it runs
---@field detach? boolean it may outlive its handler

---Runs a program, without a shell.
---@param arguments string[]
---@param options? httpd.popen_options
---@return file*?
---@return string? problem
---@return integer? code
function httpd.popen(arguments, options) end

---With a table: fields sent after the body. Without: the request's trailers, once
---its body has been read to the end.
---@param table? table<string, string|number|(string|number)[]>
---@return boolean|table<string, string>|nil
---@return "closed"? problem
function httpd.trailer(table) end

---Sends now what was written.
---@param timeout? number seconds
---@return boolean?
---@return httpd.problem? problem
function httpd.flush(timeout) end

---Ends the response; the handler runs on without a client.
---@param timeout? number seconds
---@return boolean?
---@return httpd.problem? problem
function httpd.finish(timeout) end

---Whether the client has gone, or the response was finished.
---@return boolean
function httpd.closed() end

---Whether the server has begun to stop, or a reload to replace the script.
---@return boolean
function httpd.stopping() end

---Asks for the scripts and certificates to be read again, as SIGHUP does; it happens
---soon afterwards, and the log says how it went.
---@return boolean?
---@return string? message
function httpd.reload() end

---How many requests took how long.
---@class httpd.latency
---@field sum_us integer
---@field [integer] integer the i-th: at most 2^(i-1) microseconds; 28 of them

---How requests went that have ended.
---@class httpd.requests
---@field status_2xx integer
---@field status_3xx integer
---@field status_4xx integer
---@field status_5xx integer
---@field unanswered integer
---@field complete integer
---@field gone integer
---@field timed_out integer
---@field cut integer
---@field head httpd.latency until the answer's header left
---@field whole httpd.latency until the end

---@class httpd.all_requests: httpd.requests
---@field open integer

---@class httpd.handler_stats: httpd.requests
---@field prefix string
---@field script? string
---@field name string
---@field vms integer

---@class httpd.stats
---@field uptime_ms integer
---@field children integer
---@field workers {count: integer, stuck: integer, scripts_ended: integer, present_turn_ms: integer, longest_turn_ms: integer, turns: integer, long_turns: integer}
---@field connections {open: integer, idle: integer, tcp: integer, tls: integer, unix: integer}
---@field accepted {tcp: integer, tls: integer, unix: integer}
---@field refused {limit: integer, system: integer, memory: integer, closed_for_room: integer}
---@field octets {received: integer, sent: integer}
---@field tls {full: integer, resumed: integer, failed: integer}
---@field tasks {running: integer, waiting: integer}
---@field vms {count: integer, memory_bytes: integer, memory_limit?: integer, memory_hits: integer, reloads: integer}
---@field files {pending: integer, done: integer, by_uring: integer, by_threads: integer}
---@field log {left_out: integer, access_lost: integer}
---@field channels {open: integer, subscribers: integer, messages: integer, dropped: integer, lost: integer}
---@field shared {values: integer, bytes: integer, evicted: integer}
---@field sockets {open: integer, connected: integer, failed: integer}
---@field protocols {http10: integer, http11: integer, http2: integer}
---@field requests httpd.all_requests
---@field handlers httpd.handler_stats[]

---What the server counts, all workers together.
---@return httpd.stats
function httpd.stats() end

---Waits; others run meanwhile.
---@param seconds number
---@return boolean?
---@return "closed"|"stopping"|nil problem
function httpd.sleep(seconds) end

---Gives a message to every handler, of every worker, that has subscribed.
---@param channel string at most 1024 bytes
---@param text string|number
---@return true?
---@return "too large"? problem
function httpd.publish(channel, text) end

---What `httpd.subscribe` returns: `httpd.read` takes one message from it.
---@class httpd.subscription
local subscription = {}

---How many messages it has lost: what did not fit into its queue.
---@return integer
function subscription:dropped() end

---Gets what is published on the channel from now on.
---@param channel string
---@param options { queue: integer? }? how many messages may wait, 64
---@return httpd.subscription?
---@return "too large"? problem
function httpd.subscribe(channel, options) end

---What `httpd.websocket` returns: `httpd.read` takes a message from it and
---`httpd.write` sends one.
---@class httpd.websocket
---@field protocol string? the subprotocol that was chosen
---@field code integer? of the close, once it is closed
---@field reason string? likewise

---Accepts the client's WebSocket. Nil, and why in words: the request opens none.
---@param options { protocols: string[]?, message_bytes: integer? }?
---@return httpd.websocket?
---@return string? why
function httpd.websocket(options) end

---What `httpd.connect` returns: a stream that is read, written and closed.
---@class httpd.socket

---@class httpd.connect_options
---@field timeout? number seconds for all of it; 30
---@field keep? boolean it is not closed with its handler
---@field tls? boolean with a certificate that verifies
---@field ca? string a file of authorities, instead of the system's
---@field server_name? string whom the certificate is for, instead of the host

---Connects to a host by its name or address, or to "unix:/path" without a port.
---@param host string
---@param port integer
---@param options? httpd.connect_options
---@return httpd.socket?
---@return string? problem
---@return integer? code
---@overload fun(path: string, options?: httpd.connect_options): httpd.socket?, string?, integer?
function httpd.connect(host, port, options) end

---Waits until one of several streams can be read, and returns that one.
---@param streams (httpd.websocket|httpd.subscription|httpd.socket|file*)[] at most 16, one file
---@param timeout? number seconds
---@return httpd.websocket|httpd.subscription|httpd.socket|file*|nil
---@return "timeout"|"stopping"|"closed"|nil problem
function httpd.wait(streams, timeout) end

---Values that all handlers share, on every worker.
httpd.shared = {}

---@alias httpd.value string|number|boolean
---@alias httpd.shared_problem "too large"|"not found"|"not a number"|"timeout"|"closed"|"stopping"|string

---The value of a key; nil alone: there is none.
---@param key string
---@param timeout? number seconds
---@return httpd.value?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.get(key, timeout) end

---Sets a value; nil takes it away.
---@param key string
---@param value httpd.value?
---@param seconds? number how long it lives; nil: for ever
---@param timeout? number seconds
---@return true?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.set(key, value, seconds, timeout) end

---Sets a value where there is none; false: there is one.
---@param key string
---@param value httpd.value
---@param seconds? number how long it lives; nil: for ever
---@param timeout? number seconds
---@return boolean?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.add(key, value, seconds, timeout) end

---Adds to a number, where there is none to `initial`; the sum.
---@param key string
---@param n number
---@param initial? number
---@param timeout? number seconds
---@return number?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.incr(key, n, initial, timeout) end

---Sets a value to `new` if it is `old`, nil standing for none; false: it is not.
---@param key string
---@param old httpd.value?
---@param new httpd.value?
---@param timeout? number seconds
---@return boolean?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.cas(key, old, new, timeout) end

---Takes a value away; false: there was none.
---@param key string
---@param timeout? number seconds
---@return boolean?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.delete(key, timeout) end

---The keys that begin so, in no order.
---@param prefix? string
---@param timeout? number seconds
---@return string[]?
---@return httpd.shared_problem? problem
---@return integer? code
function httpd.shared.keys(prefix, timeout) end

---Calls a function beside its handler, which it may outlast.
---@param f function
---@param ... any its arguments
---@return true? # nil: the limit `spawned` is met
---@return "too many"? problem
function httpd.spawn(f, ...) end

---@class httpd.every_options
---@field everywhere? boolean on each worker, not on one

---Calls a function again and again, from when the script has loaded on.
---@param seconds number
---@param f function
---@param options? httpd.every_options
function httpd.every(seconds, f, options) end

---Writes one line to the server's log.
---@param level "error"|"warning"|"notice"|"info"|"debug"|any nothing of these: a part of the line
---@param ... any
function httpd.log(level, ...) end

---Bytes that nobody can guess.
---@param n integer at most 65536
---@return string
function httpd.random(n) end

---The request's cookies: values by name.
---@return table<string, string>
function httpd.cookies() end

---@class httpd.cookie_options
---@field max_age? number seconds; 0 takes the cookie away
---@field path? string begins with "/"
---@field domain? string
---@field secure? boolean it never travels in the clear
---@field http_only? boolean the page's scripts do not see it
---@field same_site? "strict"|"lax"|"none"

---The value of a `set-cookie` field.
---@param name string
---@param value string|number
---@param options? httpd.cookie_options
---@return string
function httpd.cookie(name, value, options) end

---The SHA-256 of a text: 32 bytes.
---@param text string|number
---@return string
function httpd.sha256(text) end

---The HMAC of a text by SHA-256: 32 bytes.
---@param key string|number
---@param text string|number
---@return string
function httpd.hmac(key, text) end

---@param text string|number
---@param alphabet? "url" for URLs and cookies, without padding
---@return string
function httpd.base64(text, alphabet) end

---Reads base64 in either alphabet.
---@param text string|number
---@return string?
---@return "malformed"? problem
function httpd.unbase64(text) end

---Are they the same?  How long it takes does not tell where they differ.
---@param a string|number
---@param b string|number
---@return boolean
function httpd.equal(a, b) end

---Name and password of basic authentication.
---@param header httpd.fields|string? the handler's header, or the field's value
---@return string? name
---@return string|"malformed"|nil password
function httpd.basic_auth(header) end

---Takes a query or a form body apart: the first value by name, and every
---`{name, value}` in order in the array part. What `httpd.read` could not read
---is passed on.
---@param text string?
---@param problem string? of `httpd.read`
---@return table?
---@return string? problem
function httpd.query(text, problem) end

---Writes `%XX` for what is not safe in a URL.
---@param text string
---@return string
function httpd.escape(text) end

---Reads `%XX`.
---@param text string
---@return string
function httpd.unescape(text) end

---Makes text safe in HTML and in quoted attributes.
---@param text string
---@return string
function httpd.escape_html(text) end

return httpd
