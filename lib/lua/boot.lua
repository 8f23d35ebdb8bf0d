-- The Lua half of httpd, see boot.h: functions of C are its other half.
-- CMakeLists.txt makes the array lh_boot_source of it.
--
-- A coroutine that must wait yields the tag.  Between it and the worker there
-- may be coroutines of the script: coroutine.resume and wrap are replaced by
-- functions that pass the tag outward and resume inward when woken.  Where a
-- coroutine on the way cannot be suspended, the innermost one is resumed with
-- `refused` and raises, before anything was done.
--
-- A program may make its states without some library: nothing here needs one.

local httpd, begins, TAG, REFUSED, constants, env_meta = ...
local suspend, finish, refused = begins.suspend, begins.finish, begins.refused
local can_suspend = begins.can_suspend
local type, error = type, error
local setmetatable = setmetatable or begins.setmetatable

local function results(answer, message, code)
    if message == nil then return answer end
    if code == nil then return answer, message end
    return answer, message, code
end

local function waiting(begin)
    return function(a, b, c, d)
        local answer, message, code = begin(a, b, c, d)
        if answer ~= TAG then
            if message == nil then return answer end
            if code == nil then return answer, message end
            return answer, message, code
        end
        repeat
            if suspend() == REFUSED then refused() end
            answer, message, code = finish()
            -- It is its turn on a file.
            if answer == TAG then answer, message, code = begin(a, b, c, d) end
        until answer ~= TAG
        return results(answer, message, code)
    end
end
httpd.read = waiting(begins.read_begin)
httpd.write = waiting(begins.write_begin)
httpd.flush = waiting(begins.flush_begin)
httpd.finish = waiting(begins.finish_begin)
httpd.sleep = waiting(begins.sleep_begin)
httpd.serve_file = waiting(begins.serve_file_begin)
httpd.wait = waiting(begins.wait_begin)
httpd.connect = waiting(begins.connect_begin)
httpd.shared = {
    get = waiting(begins.shared_get), set = waiting(begins.shared_set),
    add = waiting(begins.shared_add), incr = waiting(begins.shared_incr),
    cas = waiting(begins.shared_cas), delete = waiting(begins.shared_delete),
    keys = waiting(begins.shared_keys),
}

-- Arguments travel in a closure.
local spawn, select = begins.spawn, select
local unpack = unpack or table and table.unpack
httpd.spawn = function(f, ...)
    if not select or not unpack or type(f) ~= 'function' then
        return spawn(f)
    end
    local n = select('#', ...)
    if n == 0 then return spawn(f) end
    local arguments = {...}
    return spawn(function() return f(unpack(arguments, 1, n)) end)
end

local check_stack = begins.check_stack

-- The callback of gsub takes 8 KiB of the C stack a level on LuaJIT.
if jit and string and string.gsub then
    local gsub = string.gsub
    function string.gsub(s, pattern, by, n)
        if type(by) ~= 'string' then check_stack() end
        return gsub(s, pattern, by, n)
    end
end

-- LuaJIT's own code for these ends the process where an allocation is refused in
-- it, except where C has called it.  Traces are off wherever one may be refused.
if jit and jit.status and not jit.status() then
    local through = begins.through
    local function call_from_c(name)
        local f = string and string[name]
        if f then string[name] = through(f, name) end
    end
    call_from_c('upper')
    call_from_c('lower')
    call_from_c('reverse')
    if tostring then
        -- That of an object may wait in its __tostring, and so is not C's.
        local plain, of_number = tostring, through(tostring, 'tostring')
        function tostring(...)
            if type((...)) == 'number' then return of_number((...)) end
            return plain(...)
        end
    end
end

-- A C function of the program that was suspended cannot raise by itself (see
-- raise.h), and what has called it may have returned to its pcall.
local failures, PENDING, take_raised = begins.failures, 3, begins.take_raised
if jit and pcall then
    local plain = pcall
    local function caught(ok, ...)
        if failures[PENDING] then return false, take_raised() end
        return ok, ...
    end
    function pcall(...) return caught(plain(...)) end
    if xpcall then
        local other = xpcall
        local function handled(handler, ok, ...)
            if not failures[PENDING] then return ok, ... end
            local _, why = plain(handler, take_raised())
            return false, why
        end
        function xpcall(f, handler, ...)
            return handled(handler, other(f, handler, ...))
        end
    end
end

-- A message handler that the error of kill.h's hook calls runs without hooks, and
-- so might not end.
if begins.kills and xpcall then
    local plain, kills = xpcall, begins.kills
    local traceback = debug and debug.traceback
    function xpcall(f, handler, ...)
        if type(handler) ~= 'function' or handler == traceback then
            return plain(f, handler, ...)
        end
        return plain(f, function(why)
            if kills() then return why end
            return handler(why)
        end, ...)
    end
end

-- LuaJIT's load catches what its reader raises without leaving the hook that has
-- raised it, and no hook of the VM is called again. So the reader runs before.
if begins.kills and jit and load and pcall and table then
    local plain, protected, concat = load, pcall, table.concat
    local tostring = tostring
    function load(reader, name, ...)
        if type(reader) ~= 'function' then return plain(reader, name, ...) end
        local pieces, ok, piece = {}
        repeat
            ok, piece = protected(reader)
            if not ok then return nil, piece end
            if piece ~= nil and type(piece) ~= 'string' and
                type(piece) ~= 'number' then
                return nil, 'reader function must return a string'
            end
            pieces[#pieces + 1] = piece and tostring(piece)
        until piece == nil or piece == ''
        return plain(concat(pieces), name or '=(load)', ...)
    end
end

if coroutine then
    local create, resume = coroutine.create, coroutine.resume
    if jit then
        local plain, enter, leave = resume, begins.enter, begins.leave
        local function left(...)
            leave()
            return ...
        end
        function resume(co, ...)
            enter()
            return left(plain(co, ...))
        end
    end
    if begins.track then
        local plain, track, untrack = resume, begins.track, begins.untrack
        local function left(...)
            untrack()
            return ...
        end
        function resume(co, ...)
            track(co)
            return left(plain(co, ...))
        end
    end
    local status, close = coroutine.status, coroutine.close
    local running = coroutine.running
    local traceback, rethrow = begins.traceback, begins.rethrow
    local expose, waits = begins.expose, begins.waits
    local BUSY = 'the coroutine waits in httpd'

    -- Coroutines that are not the script's to resume: true for handlers, else
    -- the number of the wait that they are in.
    local busy = setmetatable({}, {__mode = 'k'})
    local function is_busy(co)
        local wait = busy[co]
        if not wait then return false end
        if wait == true or waits(wait) then return true end
        busy[co] = nil
        return false
    end

    local refusal = begins.refusal
    local function resume_idle(co, ...)
        busy[co] = nil
        return resume(co, ...)
    end
    local function relay(co, ...)
        local _, first = ...
        if first ~= TAG then
            if failures[PENDING] then return false, take_raised() end
            return ...
        end
        local wait = can_suspend()
        if not wait then return relay(co, resume(co, refusal())) end
        busy[co] = wait
        return relay(co, resume_idle(co, suspend()))
    end
    function coroutine.running()
        local co, is_main = running()
        if co and expose() then busy[co] = true end
        return co, is_main
    end
    function coroutine.resume(co, ...)
        if type(co) ~= 'thread' then
            error("bad argument #1 to 'resume' (coroutine expected)", 2)
        end
        if is_busy(co) then return false, BUSY end
        return relay(co, resume(co, ...))
    end
    local function unwrap(co, ok, ...)
        if ok then return ... end
        local why, trace = ..., traceback(co, (...))
        if close and status(co) ~= 'running' and status(co) ~= 'normal' then
            local closed, other = close(co)
            if not closed then why = other end
        end
        rethrow(trace, why)
    end
    function coroutine.wrap(f)
        if type(f) ~= 'function' then
            error("bad argument #1 to 'wrap' (function expected)", 2)
        end
        local co = create(f)
        return function(...)
            if is_busy(co) then error(BUSY, 2) end
            return unwrap(co, relay(co, resume(co, ...)))
        end
    end
    function coroutine.status(co)
        local is = status(co)
        if is == 'suspended' and is_busy(co) then return 'normal' end
        return is
    end
    if close then
        function coroutine.close(co)
            if is_busy(co) then error(BUSY, 2) end
            return close(co)
        end
    end
end

-- A finalizer has no request, and raises nothing (see gc.h).  On 5.4 the
-- collector sees to that.
local finalizer = begins.finalizer
local made = setmetatable({}, {__mode = 'kv'})

local function guarded(f)
    if type(f) ~= 'function' then return f end
    local own = made[f]
    if not own then
        own = finalizer(f)
        made[f], made[own] = own, own
    end
    return own
end

-- For a metatable whose objects have finalizers.
local function guard(mt)
    local f = rawget and rawget(mt, '__gc')
    if f then rawset(mt, '__gc', guarded(f)) end
end

-- Tables have finalizers on 5.3.  What cannot fail is called without a detour.
if _VERSION == 'Lua 5.3' then
    local rawget, getmetatable = rawget, getmetatable
    local function guards(set)
        local named = begins.through(set, 'setmetatable')
        return function(value, ...)
            local mt = ...
            if type(mt) ~= 'table' then return named(value, ...) end
            if rawget and rawget(mt, '__gc') then guard(mt) end
            if type(value) == 'table' and getmetatable and
               not getmetatable(value) then
                return set(value, mt)
            end
            return named(value, mt)
        end
    end
    if _ENV.setmetatable then _ENV.setmetatable = guards(setmetatable) end
    if debug and debug.setmetatable then
        debug.setmetatable = guards(debug.setmetatable)
    end
end

if newproxy and rawset then
    local make = newproxy
    local late = {__newindex = function(mt, key, value)
        rawset(mt, key, value)
        if key == '__gc' then guard(mt) end
    end}
    function newproxy(of)
        local proxy = make(of)
        if of == true then setmetatable(getmetatable(proxy), late) end
        return proxy
    end
    if debug and debug.setmetatable then
        local set = debug.setmetatable
        function debug.setmetatable(value, mt)
            if type(value) == 'userdata' and type(mt) == 'table' then
                guard(mt)
            end
            return set(value, mt)
        end
    end
end

local preload = package and package.preload
local open_ffi = preload and preload.ffi
if open_ffi then
    function preload.ffi(...)
        local ffi = open_ffi(...)
        local gc, metatype = ffi.gc, ffi.metatype
        function ffi.gc(cdata, f) return gc(cdata, guarded(f)) end
        function ffi.metatype(ct, mt)
            if type(mt) == 'table' then guard(mt) end
            return metatype(ct, mt)
        end
        return ffi
    end
end

if collectgarbage then
    local collect, stop, others = begins.collect, begins.stop, collectgarbage
    function collectgarbage(what, n, ...)
        if what == nil or what == 'collect' then return collect() or 0 end
        if what == 'step' then return collect(tonumber(n) or 0) end
        if what == 'stop' or what == 'restart' then stop(what == 'stop') end
        return others(what, n, ...)
    end
end

if setfenv then setfenv = begins.setfenv(setfenv) end

local files, methods = begins.files, begins.methods
if methods then
    local give_back = waiting(begins.give_back)
    local function return_file(f)
        local file = files[f]
        if file then return give_back(f, file) end
    end
    local through = begins.through
    local function wrap(method, name)
        method = through(method, name, true)
        return function(f, ...)
            local file = files[f]
            if file then
                local _, why = give_back(f, file)
                if why then return nil, why end
            end
            return method(f, ...)
        end
    end
    local names = {'read', 'write', 'seek', 'flush', 'setvbuf'}
    for i = 1, #names do
        local method = methods[names[i]]
        if method then methods[names[i]] = wrap(method, names[i]) end
    end
    local lines = through(methods.lines, 'lines', true)
    local close = through(methods.close, 'close')
    function methods.lines(f, ...)
        return_file(f)
        local next_line = through(lines(f, ...), 'lines')
        return function()
            local _, why = return_file(f)
            if why then return nil, why end
            return next_line()
        end
    end
    httpd.popen = begins.popen
    local drain, close_file = waiting(begins.drain_begin),
                              waiting(begins.close_begin)
    -- What a pipe's file holds back goes first, as long as there is time.
    httpd.close = function(f, timeout)
        local ok, why, code = drain(f, timeout)
        if not ok and not code then return nil, why end
        return close_file(f, timeout)
    end
    httpd.open = waiting(begins.open_begin)
    httpd.fdopen = begins.fdopen
    httpd.sync = waiting(begins.sync_begin)
    local wait_and_close = httpd.close
    local send, open = waiting(begins.sendfile_begin), httpd.open
    local check, send_owned = begins.sendfile_check,
                              waiting(begins.send_owned_begin)
    httpd.sendfile = function(file, offset, length, timeout)
        if type(file) ~= 'string' then
            return send(file, offset, length, timeout)
        end
        check(file, offset, length, timeout)
        local f, why, code = open(file, 'r', timeout)
        if not f then return nil, why, code end
        return send_owned(f, offset, length, timeout)
    end
    function methods.close(f, ...)
        if files[f] then return wait_and_close(f, ...) end
        return close(f, ...)
    end
    -- A variable of 5.4 that is to be closed: as close, or where that cannot wait as
    -- the collector does. Of a pipe there is a descriptor of ours to close, too.
    local handles, is_open = begins.handles, io and io.type
    local leave, collect = handles.__close, handles.__gc
    if leave and is_open and pcall then
        local protected = pcall
        function handles.__close(f)
            if not files[f] then return leave(f) end
            if is_open(f) ~= 'file' or protected(wait_and_close, f) then return end
            protected(collect, f)
        end
    end
    if io then
        local input, output = io.input, io.output
        if io.popen then io.popen = begins.io_popen end
        if io.open then io.open = through(io.open, 'open') end
        local function wrap_default(name, which)
            local f = io[name]
            if not f or not which then return end
            f = through(f, name)
            io[name] = function(...)
                local _, why = return_file(which())
                if why then return nil, why end
                return f(...)
            end
        end
        wrap_default('read', input)
        wrap_default('lines', input)
        wrap_default('write', output)
        function io.close(f)
            if f == nil then f = output() end
            return methods.close(f)
        end
    end
end

-- The first part's header is waited for here, since 5.1 cannot wait in an iterator.
local begin_form, next_part = waiting(begins.multipart_begin),
                              waiting(begins.part_begin)
httpd.multipart = function(limits, timeout)
    local begun, why = begin_form(limits, timeout)
    if not begun then return nil, why end
    return next_part
end

local unsubscribe, close_file = begins.unsubscribe, httpd.close
local close_websocket, close_socket = begins.websocket_close, begins.socket_close
function httpd.close(stream, timeout, reason)
    if unsubscribe(stream) or close_websocket(stream, timeout, reason) then
        return true
    end
    local is_socket, closed, why, code = close_socket(stream, timeout)
    if is_socket then return results(closed, why, code) end
    return close_file(stream, timeout)
end

if os then
    -- As before, but what it starts blocks no signal.
    local execute, in_words = begins.execute, rawlen ~= nil
    if execute then
        function os.execute(command)
            return execute(command, in_words)
        end
    end
    function os.exit()
        error('os.exit: a script does not end its server', 2)
    end
end

local SOFTWARE, FILENAME = constants.software, constants.filename
local PREFIX = constants.prefix
return function(protocol, server_addr, server_port, client_addr,
                client_port, name, date, query, push)
    return setmetatable({
        SERVER_SOFTWARE = SOFTWARE, SERVER_PROTOCOL = protocol,
        SERVER_ADDR = server_addr, SERVER_PORT = server_port,
        CLIENT_ADDR = client_addr, CLIENT_PORT = client_port,
        SCRIPT_FILENAME = FILENAME, SCRIPT_PREFIX = PREFIX,
        HANDLER_NAME = name, DATE_UTC = date,
        QUERY_INFO = query, PUSH_PROMISE = push,
    }, env_meta)
end
