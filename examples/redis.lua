-- A client for Redis in a few dozen lines: commands go out and replies come in
-- while other requests are served, on connections that are kept for the next.
--
--     REDIS=127.0.0.1:6379 lhttpd -f -p 8080 -l / redis.lua
--     REDIS=unix:/run/redis/redis.sock lhttpd -f -p 8080 -l / redis.lua
--     curl http://127.0.0.1:8080/                      # counts visits
--     curl -T file http://127.0.0.1:8080/key/name      # SET, any octets
--     curl http://127.0.0.1:8080/key/name              # GET

local where = os.getenv("REDIS") or "127.0.0.1:6379"
local TIMEOUT = 5
local idle = {} -- connections that nobody uses

local function connect()
    if where:sub(1, 5) == "unix:" then
        return httpd.connect(where, {timeout = TIMEOUT, keep = true})
    end
    local host, port = where:match("^(.*):(%d+)$")
    return httpd.connect(host, tonumber(port), {timeout = TIMEOUT, keep = true})
end

-- A command is an array of lengths and strings, so that any octets may be in it.
local function encode(command)
    local parts = {"*" .. #command .. "\r\n"}
    for _, word in ipairs(command) do
        word = tostring(word)
        parts[#parts + 1] = "$" .. #word .. "\r\n" .. word .. "\r\n"
    end
    return table.concat(parts)
end

-- A reply: a string, a number, an array, false for none; {err = text} where Redis
-- says no; or nil and why the connection is of no use any more.
local function read_reply(s)
    local line, why = httpd.read(s, "l", TIMEOUT)
    if not line then return nil, why or "closed" end
    local kind, rest = line:match("^(.)(.-)\r?$")
    if kind == "+" then return rest end
    if kind == "-" then return {err = rest} end
    local n = tonumber(rest)
    if kind == ":" and n then return n end
    if (kind ~= "$" and kind ~= "*") or not n then return nil, "malformed" end
    if n < 0 then return false end
    if kind == "$" then
        local data, problem = httpd.read(s, n + 2, TIMEOUT)
        if not data or #data < n + 2 then return nil, problem or "closed" end
        return data:sub(1, n)
    end
    local items = {}
    for i = 1, n do
        local item, problem = read_reply(s)
        if item == nil then return nil, problem end
        items[i] = item
    end
    return items
end

-- All commands go out at once; an array of their replies, or nil and why.
local function pipeline(commands)
    local s, why = table.remove(idle), nil
    if s and httpd.wait({s}, 0) then -- its end, since nothing was asked
        httpd.close(s)
        s = nil
    end
    if not s then s, why = connect() end
    if not s then return nil, why end
    local out, replies, ok = {}, {}, nil
    for i, command in ipairs(commands) do out[i] = encode(command) end
    ok, why = httpd.write(s, out, TIMEOUT)
    for i = 1, ok and #commands or 0 do
        replies[i], why = read_reply(s)
        if replies[i] == nil then ok = nil break end
    end
    if not ok then
        httpd.close(s)
        return nil, why
    end
    idle[#idle + 1] = s
    return replies
end

-- One command: its reply, or nil and why.
local function redis(...)
    local replies, why = pipeline{{...}}
    if not replies then return nil, why end
    if type(replies[1]) == "table" and replies[1].err then
        return nil, replies[1].err
    end
    return replies[1]
end

local function fail(why)
    httpd.header{[":status"] = "502", ["content-type"] = "text/plain"}
    httpd.write(nil, "redis: " .. why .. "\n")
end

httpd.register_handler("/", function(env)
    local replies, why = pipeline{{"INCR", "visits"},
                                  {"HINCRBY", "workers", env.WORKER, 1}}
    if not replies then return fail(why) end
    if type(replies[1]) == "table" then return fail(replies[1].err) end
    httpd.write(nil, ("visit %d, %d of them at worker %d\n"):format(
        replies[1], replies[2], env.WORKER))
end)

httpd.register_handler("/key/*", function(env, header)
    local key, reply, why = env.PATH_INFO, nil, nil
    if header[":method"] == "PUT" then
        local value, problem = httpd.read(nil, "a")
        if not value then
            return httpd.header{[":status"] = problem == "too large" and "413"
                                              or "400"}
        end
        reply, why = redis("SET", key, value)
        if reply then return httpd.header{[":status"] = "204"} end
    else
        reply, why = redis("GET", key)
        if reply then
            -- Anybody may have put it there: it is no page of ours.
            httpd.header{["content-type"] = "application/octet-stream",
                         ["x-content-type-options"] = "nosniff"}
            return httpd.write(nil, reply)
        end
        if reply == false then return httpd.header{[":status"] = "404"} end
    end
    fail(why)
end)
