-- An HTTP/1.1 client for handlers, on httpd.connect: requests to other servers,
-- without holding up anybody.
--
--     package.path = "/usr/share/lhttpd/?.lua;" .. package.path
--     local fetch = require "fetch"
--     local answer, why = fetch("https://example.com/hook", {
--         method = "POST", body = text, fields = {["content-type"] = "text/plain"}})
--     if answer and answer.status == 200 then ... answer.body ... end
--
-- fetch(url [, options]) returns the answer, or nil and why not.  Options:
--   method      "GET"; as it is written, since case counts
--   fields      header fields by name; a value is a string, a number or an array
--   body        a string, or a function that returns pieces and then nil: sent in
--               chunks (nil and why: the request is given up)
--   timeout     seconds for all of it, 30; of an answer that streams until its header
--   stream      true: the body is not read; answer:read() and answer:close() do that
--   body_bytes  the most that a body may have that is read, 8 MiB
--   redirects   how many are followed, 5; false: none, they are answers
--   reuse       false: a connection of its own, closed with its handler
--   unix        the path of a unix socket that is connected to instead
--   ca, server_name  as those of httpd.connect
--
-- An answer has status, reason, fields (by names in lower case; of repeated ones the
-- values joined by ", "), list (all fields, {name, value} each), url (the last one)
-- and body.
--
-- What a server sends is bounded: a header section has at most 64 KiB, ten informational
-- answers may come before, and lengths that are wrong or doubtful end the request.

local fetch = {}

local HEADER_BYTES = 64 * 1024
local BODY_BYTES = 8 * 1024 * 1024
local LINE_BYTES = 4096 -- of a chunk's size and its extensions
local INTERIM_MAX = 10
local IDLE_SECONDS, IDLE_MAX, IDLE_OF_ONE = 30, 32, 4

local idempotent = {GET = true, HEAD = true, PUT = true, DELETE = true,
                    OPTIONS = true, TRACE = true}

-- Addresses ------------------------------------------------------------------

-- scheme, host, port and target of a URL; or nil and why.
local function parse_url(url)
    if url:find("[%c%s]") then return nil, "a URL has no spaces" end
    local scheme, authority, rest = url:match("^(%a[%w+.-]*)://([^/?#]*)(.*)$")
    scheme = scheme and scheme:lower()
    if scheme ~= "http" and scheme ~= "https" then
        return nil, "this is no http or https URL"
    end
    if authority:find("@", 1, true) then
        return nil, "a URL with a user's name is not taken"
    end
    local host, port = authority:match("^%[([%x:.]+)%](.*)$")
    if not host then host, port = authority:match("^([^%[%]:]+)(.*)$") end
    if not host then return nil, "the URL has no host" end
    if not port:find("^:?$") and not port:find("^:%d+$") then
        return nil, "the URL's port is none"
    end
    port = port:sub(2)
    port = tonumber(port) or (scheme == "https" and 443 or 80)
    if port < 1 or port > 65535 then return nil, "the URL's port is none" end
    rest = rest:gsub("#.*", "")
    if rest:sub(1, 1) ~= "/" then rest = "/" .. rest end
    return {scheme = scheme, host = host, port = port, target = rest,
            authority = authority,
            origin = scheme .. "://" .. host:lower() .. ":" .. port}
end

-- Where `location` leads from there (RFC 3986, 5.2; "." and ".." are the
-- server's to resolve).
local function resolve(at, location)
    location = location:gsub("#.*", "")
    if location:find("^%a[%w+.-]*:") then return location end
    if location:sub(1, 2) == "//" then return at.scheme .. ":" .. location end
    local base = at.scheme .. "://" .. at.authority
    if location:sub(1, 1) == "/" then return base .. location end
    local path = at.target:gsub("%?.*", "")
    if location:sub(1, 1) == "?" or location == "" then
        return base .. path .. location
    end
    return base .. path:gsub("[^/]*$", "") .. location
end

-- Connections ----------------------------------------------------------------

-- Idle ones by where they lead; of this VM.
local idle, idle_n = {}, 0

local function drop(c)
    httpd.close(c.socket)
end

-- Those that have waited for too long.
local function sweep()
    local now = os.time()
    for key, list in pairs(idle) do
        for i = #list, 1, -1 do
            if now - list[i].since > IDLE_SECONDS or now < list[i].since then
                drop(table.remove(list, i))
                idle_n = idle_n - 1
            end
        end
        if #list == 0 then idle[key] = nil end
    end
end
pcall(httpd.every, IDLE_SECONDS / 2, sweep, {everywhere = true})

local function give_back(c)
    local list = idle[c.key] or {}
    if idle_n >= IDLE_MAX or #list >= IDLE_OF_ONE then return drop(c) end
    idle[c.key] = list
    c.since, c.answer = os.time(), nil
    list[#list + 1] = c
    idle_n = idle_n + 1
end

-- Nothing may have come on an idle one: that is its end, or nobody's answer.
local function take_idle(key)
    local list = idle[key]
    while list and #list > 0 do
        local c = table.remove(list)
        idle_n = idle_n - 1
        if os.time() - c.since <= IDLE_SECONDS and not httpd.wait({c.socket}, 0)
        then
            c.used = true
            return c
        end
        drop(c)
    end
end

-- What is left of the time, for one wait.  The clock has whole seconds, so that
-- all of it may take one more.
local function left(clock)
    if not clock.deadline then return clock.timeout end
    local rest = clock.deadline + 1 - os.time()
    if rest > clock.timeout then rest = clock.timeout end
    return rest > 0 and rest or 0
end

-- Of the options: redirects and further connections have no time of their own.
local function start_clock(o)
    o.timeout = o.timeout or 30
    o.deadline = os.time() + o.timeout
end

local function take_clock(c, o)
    c.timeout, c.deadline = o.timeout, o.deadline
end

local function connect(at, o, fresh)
    local reuse = o.reuse ~= false
    local key = table.concat({at.origin, o.unix or "", o.ca or "",
                              o.server_name or ""}, "\0")
    local c = reuse and not fresh and take_idle(key)
    if c then
        take_clock(c, o)
        return c
    end
    local options = {timeout = left(o), keep = reuse}
    if at.scheme == "https" then
        options.tls, options.ca = true, o.ca
        options.server_name = o.server_name or at.host
    end
    local socket, why
    if o.unix then
        socket, why = httpd.connect("unix:" .. o.unix, options)
    else
        socket, why = httpd.connect(at.host, at.port, options)
    end
    if not socket then return nil, why end
    c = {socket = socket, key = key, buffer = "", at = 1, reuse = reuse}
    take_clock(c, o)
    return c
end

-- Input that was not taken yet is c.buffer from c.at on: what is taken is not cut
-- off each time, which would copy the rest for each small chunk.
local function waiting(c)
    return #c.buffer - c.at + 1
end

-- One more piece of input behind what there is; false at the end, nil and why.
local function fill(c)
    local data, why = httpd.read(c.socket, nil, left(c))
    if not data then
        if why then return nil, why end
        return false
    end
    c.buffer, c.at = c.buffer:sub(c.at) .. data, 1
    c.heard = true
    return true
end

-- Up to the mark, which is taken away; nil and why.
local function up_to(c, mark, most)
    local searched = 0
    while true do
        local at, last = c.buffer:find(mark, c.at + searched)
        if at then
            if at - c.at > most then return nil, "too large" end
            local text = c.buffer:sub(c.at, at - 1)
            c.at = last + 1
            return text
        end
        if waiting(c) > most + 3 then return nil, "too large" end
        searched = math.max(0, waiting(c) - 3)
        local ok, why = fill(c)
        if not ok then return nil, why or "closed" end
    end
end

-- Requests -------------------------------------------------------------------

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

local function check_field(name, value)
    if type(name) ~= "string" or not name:find(TOKEN) then
        error("fetch: '" .. tostring(name) .. "' is no name of a field", 0)
    end
    value = tostring(value)
    if value:find("[%z\r\n]") then
        error("fetch: the value of " .. name .. " has a line end or a zero", 0)
    end
    return name .. ": " .. value .. "\r\n"
end

-- Our own are not the caller's to set: they are the message's frame.
local frame = {["content-length"] = true, ["transfer-encoding"] = true,
               connection = true, host = true}

local function make_head(at, o, method)
    local lines = {method .. " " .. at.target .. " HTTP/1.1\r\n",
                   "host: " .. at.authority .. "\r\n"}
    local agent
    for name, value in pairs(o.fields or {}) do
        local lower = tostring(name):lower()
        agent = agent or lower == "user-agent"
        if not frame[lower] then
            for _, one in ipairs(type(value) == "table" and value or {value}) do
                lines[#lines + 1] = check_field(name, one)
            end
        end
    end
    if not agent then lines[#lines + 1] = "user-agent: lhttpd-fetch\r\n" end
    if o.reuse == false then lines[#lines + 1] = "connection: close\r\n" end
    if type(o.body) == "function" then
        lines[#lines + 1] = "transfer-encoding: chunked\r\n"
    elseif o.body or method == "POST" or method == "PUT" or method == "PATCH" then
        lines[#lines + 1] = "content-length: " .. #(o.body or "") .. "\r\n"
    end
    lines[#lines + 1] = "\r\n"
    return table.concat(lines)
end

local function write(c, data)
    local n, why = httpd.write(c.socket, data, left(c))
    if n then return true end
    return nil, why
end

-- A server may answer and close before it has read everything, so "closed" is
-- told by what is read then.
local function send(c, head, body)
    if type(body) ~= "function" then
        return write(c, body and #body > 0 and {head, body} or head)
    end
    local ok, why = write(c, head)
    while ok do
        local piece, problem = body()
        if piece == nil and problem then return nil, "body: " .. problem end
        if piece == nil then return write(c, "0\r\n\r\n") end
        if type(piece) ~= "string" then
            drop(c)
            error("fetch: body() returned a " .. type(piece), 0)
        end
        if #piece > 0 then
            ok, why = write(c, {("%x\r\n"):format(#piece), piece, "\r\n"})
        end
    end
    return nil, why
end

-- Answers --------------------------------------------------------------------

-- The values of one name are joined at the end, since there may be thousands.
local function parse_fields(text, answer)
    local values = {}
    for line in text:gmatch("([^\n]*)\n?") do
        line = line:gsub("\r$", "")
        if line ~= "" then
            local name, value = line:match(
                "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$")
            if not name or value:find("[%z\r]") then return nil, "malformed" end
            name = name:lower()
            values[name] = values[name] or {}
            table.insert(values[name], value)
            answer.list[#answer.list + 1] = {name, value}
        end
    end
    for name, list in pairs(values) do
        answer.fields[name] = table.concat(list, ", ")
    end
    return true
end

local function read_head(c)
    local text, why = up_to(c, "\r?\n\r?\n", HEADER_BYTES)
    if not text then return nil, why == "too large" and "header " .. why or why end
    local line, rest = text:match("^([^\n]*)\n?(.*)$")
    local minor, status, reason = line:match("^HTTP/1%.(%d) (%d%d%d) ?(.-)\r?$")
    status = tonumber(status)
    if not status or status < 100 then return nil, "malformed" end
    local answer = {status = status, reason = reason, fields = {}, list = {},
                    minor = tonumber(minor)}
    local ok, bad = parse_fields(rest, answer)
    if not ok then return nil, bad end
    return answer
end

-- Skips informational ones.
local function read_answer(c)
    for _ = 0, INTERIM_MAX do
        local answer, why = read_head(c)
        if not answer then return nil, why end
        if answer.status >= 200 then return answer end
        if answer.status == 101 then return nil, "malformed" end
    end
    return nil, "malformed"
end

-- How the body is framed (RFC 9112, 6.3): c.body is "none", "length", "chunked" or
-- "close", and c.rest how much of it or of its chunk is to come.
local function find_frame(c, answer, method)
    local f = answer.fields
    local coding, length = f["transfer-encoding"], f["content-length"]
    local option = (f.connection or ""):lower()
    c.closes = option:find("close", 1, true) ~= nil or
               (answer.minor == 0 and not option:find("keep-alive", 1, true))
    c.rest = 0
    if method == "HEAD" or answer.status == 204 or answer.status == 304 then
        c.body = "none"
    elseif coding then
        if coding:lower() ~= "chunked" or answer.minor == 0 then
            return nil, "malformed"
        end
        c.body, c.closes = "chunked", c.closes or length ~= nil
    elseif length then
        -- Repeated, they have to be one.
        local first = length:match("^(%d+)")
        if not first or #first > 15 or
           length:gsub(",%s*" .. first, "") ~= first then
            return nil, "malformed"
        end
        c.body, c.rest = "length", tonumber(first)
    else
        c.body, c.closes = "close", true
    end
    return true
end

local function finish_body(c)
    if c.done then return end
    c.done = true
    if c.closes or not c.reuse or waiting(c) > 0 then drop(c) else give_back(c) end
end

local function fail_body(c, why)
    c.done, c.failed = true, why
    drop(c)
    return nil, why
end

-- The size of the next chunk; at the last one, whose trailers are dropped, 0.
local function next_chunk(c)
    if c.inside then
        local text, why = up_to(c, "\r?\n", 0)
        if not text then
            return nil, why == "too large" and "malformed" or why
        end
    end
    local line, why = up_to(c, "\r?\n", LINE_BYTES)
    if not line then return nil, why end
    local digits = line:match("^(%x+)[ \t]*$") or line:match("^(%x+)[ \t]*;")
    if not digits or #digits > 12 then return nil, "malformed" end
    c.inside = true
    local n = tonumber(digits, 16)
    if n > 0 then return n end
    local bytes = 0
    repeat
        line, why = up_to(c, "\r?\n", LINE_BYTES)
        if not line then return nil, why end
        bytes = bytes + #line
        if bytes > HEADER_BYTES then return nil, "too large" end
    until line == ""
    return 0
end

-- A piece of the body, nil at its end, or nil and why.
local function read_piece(c)
    if c.failed then return nil, c.failed end
    if c.done then return nil end
    if c.body == "chunked" and c.rest == 0 then
        local n, why = next_chunk(c)
        if not n then return fail_body(c, why) end
        c.rest = n
    end
    if c.body == "none" or (c.body ~= "close" and c.rest == 0) then
        finish_body(c)
        return nil
    end
    if waiting(c) == 0 then
        local ok, why = fill(c)
        if ok == false and c.body == "close" then
            finish_body(c)
            return nil
        end
        if not ok then return fail_body(c, why or "closed") end
    end
    local n = waiting(c)
    if c.body ~= "close" then
        n = math.min(n, c.rest)
        c.rest = c.rest - n
    end
    local piece = c.buffer:sub(c.at, c.at + n - 1)
    c.at = c.at + n
    return piece
end

local function read_all(c, most)
    local pieces, bytes = {}, 0
    while true do
        local piece, why = read_piece(c)
        if why then return nil, why end
        if not piece then return table.concat(pieces) end
        bytes = bytes + #piece
        if bytes > most then
            return fail_body(c, "body too large")
        end
        pieces[#pieces + 1] = piece
    end
end

-- Of an answer that streams.
local methods = {}

-- A piece of the body, of any length; nil at its end, or nil and why.  Behind the
-- end the connection may be another answer's already.
function methods:read(timeout)
    local c = self.connection
    if c.answer ~= self then return nil end
    c.deadline, c.timeout = nil, timeout or c.timeout
    return read_piece(c)
end

-- The rest of the body is not wanted.
function methods:close()
    local c = self.connection
    if c.answer == self and not c.done then fail_body(c, "closed") end
end

local answer_meta = {__index = methods}

-- One request --------------------------------------------------------------

-- The answer; or nil, why, and whether a fresh connection may fare better.
local function ask(c, head, o, method)
    c.heard, c.done, c.inside, c.failed = false, false, false, nil
    local sent, why = send(c, head, o.body)
    if not sent and why ~= "closed" then
        drop(c)
        return nil, why
    end
    local answer, problem = read_answer(c)
    local framed = answer
    if answer then framed, problem = find_frame(c, answer, method) end
    if not framed then
        drop(c)
        return nil, problem, c.used and not c.heard and problem == "closed"
    end
    -- What was not sent whole is no end that another request may follow.
    c.closes = c.closes or not sent
    answer.connection, c.answer = c, answer
    return setmetatable(answer, answer_meta)
end

local function ask_once(at, o, method)
    local head = make_head(at, o, method)
    local c, why = connect(at, o)
    if not c then return nil, why end
    local answer, problem, again = ask(c, head, o, method)
    if again and idempotent[method] and type(o.body) ~= "function" then
        c, why = connect(at, o, true)
        if not c then return nil, why end
        answer, problem = ask(c, head, o, method)
    end
    return answer, problem
end

local moved = {[301] = true, [302] = true, [303] = true, [307] = true,
               [308] = true}

-- Not for another server, and not for a request without the body that they tell of.
local secrets = {authorization = true, cookie = true,
                 ["proxy-authorization"] = true}
local of_body = {["content-type"] = true, ["content-encoding"] = true,
                 ["content-language"] = true, ["content-location"] = true}

local function without(names, fields)
    local copy = {}
    for name, value in pairs(fields or {}) do
        if not names[tostring(name):lower()] then copy[name] = value end
    end
    return copy
end

-- Where an answer sends us: the address, or nil and why not.
local function follow(at, answer, o, method)
    local to, why = parse_url(resolve(at, answer.fields.location))
    if not to then return nil, "redirect: " .. why end
    if at.scheme == "https" and to.scheme == "http" then
        return nil, "redirect: from https to http"
    end
    if (answer.status == 303 and method ~= "HEAD") or
       (answer.status < 303 and method == "POST") then
        method, o.body, o.fields = "GET", nil, without(of_body, o.fields)
    elseif type(o.body) == "function" then
        return nil, "redirect: the body cannot be sent again"
    end
    if to.origin ~= at.origin then
        o.fields, o.unix = without(secrets, o.fields), nil
        o.server_name = nil
    end
    return to, method
end

local function request(url, options)
    local o = {}
    for name, value in pairs(options or {}) do o[name] = value end
    start_clock(o)
    local method = o.method or "GET"
    if not method:find(TOKEN) then error("fetch: no such method", 3) end
    local at, why = parse_url(url)
    if not at then return nil, why end
    local most = o.redirects or (o.redirects == nil and 5 or 0)
    for hop = 0, most do
        local answer, problem = ask_once(at, o, method)
        if not answer then return nil, problem end
        answer.url = at.scheme .. "://" .. at.authority .. at.target
        if not (moved[answer.status] and answer.fields.location) or most == 0 then
            if o.stream then return answer end
            answer.body, problem = read_all(answer.connection,
                                            o.body_bytes or BODY_BYTES)
            if not answer.body then return nil, problem end
            return answer
        end
        answer:close()
        if hop < most then
            at, method = follow(at, answer, o, method)
            if not at then return nil, method end
        end
    end
    return nil, "too many redirects"
end

local kinds = {method = "string", fields = "table", body = "string or function",
               timeout = "number", stream = "boolean", body_bytes = "number",
               redirects = "number or false", reuse = "boolean",
               unix = "string", ca = "string", server_name = "string"}

-- Raises for what a call has wrong, with the line of the script that calls.
local function check_call(url, options)
    if type(url) ~= "string" then
        error("fetch: a URL is a string, not a " .. type(url), 3)
    end
    if options ~= nil and type(options) ~= "table" then
        error("fetch: the options are a table, not a " .. type(options), 3)
    end
    for name, value in pairs(options or {}) do
        local kind = kinds[name]
        if not kind then
            error("fetch: there is no option '" .. tostring(name) .. "'", 3)
        end
        if not kind:find(type(value), 1, true) and
           not (value == false and name == "redirects") then
            error("fetch: the option '" .. name .. "' is a " .. type(value) ..
                  ", not a " .. kind, 3)
        end
    end
end

return setmetatable(fetch, {__call = function(_, url, options)
    check_call(url, options)
    return request(url, options)
end})
