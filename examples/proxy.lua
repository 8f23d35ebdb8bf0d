-- A reverse proxy: passes requests on to another server, and its answers back,
-- both as they come, however large they are.  Who is slow on either side holds
-- back the other, and nobody else.  A request with a body has an hour until its
-- answer begins, one without a minute.
--
--     UPSTREAM=http://127.0.0.1:3000 lhttpd -f -p 8080 -l / proxy.lua

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "../share/lhttpd/?.lua;" .. -- of the sources
    here .. "../../../lhttpd/?.lua;" .. -- where both are installed
    "/usr/share/lhttpd/?.lua;/usr/local/share/lhttpd/?.lua;" .. package.path
local fetch = require "fetch"

local upstream = os.getenv("UPSTREAM") or "http://127.0.0.1:3000"

-- Of one connection alone (RFC 9110, 7.6.1), or made anew by those who send.
local ours = {connection = true, ["keep-alive"] = true, te = true,
              ["proxy-connection"] = true, ["transfer-encoding"] = true,
              upgrade = true, trailer = true, host = true, expect = true,
              ["content-length"] = true}

-- What a connection field names is of the connection, too.
local function is_ours(name, connection)
    return ours[name] or
        ("," .. (connection or ""):lower():gsub("%s", "") .. ","):find(
            "," .. name .. ",", 1, true) ~= nil
end

-- What the other server is told of the client, by us and nobody else.
local told = {["x-forwarded-for"] = true, ["x-forwarded-proto"] = true,
              ["x-forwarded-host"] = true}

-- Where fields become variables, as in CGI, "a_b" is another spelling of "a-b":
-- it would be taken for ours.
local function is_told(name)
    local meant = name:gsub("_", "-")
    return told[meant] or ours[meant]
end

local function fields_for_upstream(env, header)
    local fields = {}
    for name, value in pairs(header) do
        if name:sub(1, 1) ~= ":" and not is_told(name) and
            not is_ours(name, header.connection) then
            fields[name] = value
        end
    end
    local before = header["x-forwarded-for"]
    fields["x-forwarded-for"] = (before and before .. ", " or "") ..
        env.CLIENT_ADDR
    fields["x-forwarded-proto"] = header[":scheme"]
    fields["x-forwarded-host"] = header[":authority"]
    return fields
end

local function pass_header(answer)
    local fields = {[":status"] = answer.status}
    for _, field in ipairs(answer.list) do
        local name, value = field[1], field[2]
        if not is_ours(name, answer.fields.connection) then
            fields[name] = fields[name] or {}
            table.insert(fields[name], value)
        end
    end
    -- It may be repeated, and beside chunks it says nothing (RFC 9112, 6.3).
    local length = answer.fields["content-length"]
    if length and not answer.fields["transfer-encoding"] then
        fields["content-length"] = length:match("^%d+")
    end
    httpd.header(fields)
end

local failures = {timeout = "408", ["too large"] = "413"}

httpd.register_handler("/*", function(env, header)
    -- nil and why where the client goes: that is no end of the body, and never
    -- looks like one to the other server.
    local first, gone = httpd.read(nil, 0)
    if gone then
        return httpd.header{[":status"] = failures[gone] or "400"}
    end
    local body = first and function() return httpd.read(nil) end
    local answer, why = fetch(upstream .. header[":path"], {
        method = header[":method"], fields = fields_for_upstream(env, header),
        body = body or nil, stream = true, redirects = false,
        timeout = body and 3600 or 60})
    if not answer then
        httpd.log("warning", "upstream:", why)
        httpd.header{[":status"] = why == "timeout" and "504" or "502"}
        return httpd.write(nil, "the server behind this one does not answer\n")
    end
    pass_header(answer)
    while true do
        local piece, problem = answer:read(60)
        if not piece then
            -- An answer that was cut must not look whole.
            if problem then error("upstream: " .. problem) end
            return
        end
        if not httpd.write(nil, piece) then return answer:close() end
    end
end)
