-- What test/clients/run asks a server for.  Every body is a piece of the same
-- endless text: the octet at offset k is octet k % 65521 of `pattern`.  65521
-- is a prime, so that no buffer of anybody's is a multiple of it.

local PERIOD = 65521

local octets = {}
for i = 0, PERIOD - 1 do
    octets[i + 1] = string.char((i * 7 + math.floor(i / 251)) % 256)
end
local pattern = table.concat(octets)
local twice = pattern .. pattern

-- `n` octets of the text from `offset` on.
local function text(offset, n)
    local at = offset % PERIOD
    if n <= PERIOD then return twice:sub(at + 1, at + n) end
    return pattern:rep(math.floor(n / PERIOD) + 2):sub(at + 1, at + n)
end

local function number(form, name, default)
    return tonumber(form[name] or default)
end

-- /bytes?n=&piece=&length=&pause=: n octets, written `piece` at a time, with
-- content-length if length is 1, `pause` seconds after each piece.
httpd.register_handler("/bytes", function(env)
    local form = httpd.query(env.QUERY_INFO)
    local n, piece = number(form, "n", 0), number(form, "piece", 65521)
    local pause = number(form, "pause", 0)
    local answer = { ["content-type"] = "application/octet-stream" }
    if form.length == "1" then
        answer["content-length"] = string.format("%d", n)
    end
    httpd.header(answer)
    local offset = 0
    while offset < n do
        local part = text(offset, math.min(piece, n - offset))
        if not httpd.write(nil, part) then return end
        if pause > 0 then httpd.flush() httpd.sleep(pause) end
        offset = offset + #part
    end
end)

-- /upload: reads the body and says how long it was and whether it was the text.
httpd.register_handler("/upload", function()
    local offset, same = 0, true
    while true do
        local part, problem = httpd.read(nil, 32768)
        if problem then
            httpd.header { status = 400 }
            httpd.write(nil, "read: " .. problem .. "\n")
            return
        end
        if not part then break end
        same = same and part == text(offset, #part)
        offset = offset + #part
    end
    httpd.write(nil, string.format("%d octets, %s\n", offset,
                                   same and "as sent" or "garbled"))
end)

-- /refuse: answers before it has read anything, and never reads.
httpd.register_handler("/refuse", function()
    httpd.header { status = 403, ["content-type"] = "text/plain" }
    httpd.write(nil, "not yours\n")
end)

-- /connection: which connection this is, by the client's port.
httpd.register_handler("/connection", function(env)
    httpd.write(nil, string.format("%s %d\n", env.SERVER_PROTOCOL,
                                   env.CLIENT_PORT))
end)

-- gRPC: a message is a zero octet, its length in four octets, and its octets.
local function message(data)
    local n = #data
    return string.char(0, math.floor(n / 2 ^ 24) % 256,
                       math.floor(n / 2 ^ 16) % 256,
                       math.floor(n / 256) % 256, n % 256) .. data
end

local function read_message()
    local head = httpd.read(nil, 5)
    if not head then return nil end
    local _, a, b, c, d = head:byte(1, 5)
    local n = ((a * 256 + b) * 256 + c) * 256 + d
    return n == 0 and "" or httpd.read(nil, n)
end

-- Unary and both ways: gives each message back as it was.
httpd.register_handler("/test.Test/Echo", function()
    httpd.header { ["content-type"] = "application/grpc" }
    for data in read_message do
        httpd.write(nil, message(data))
        httpd.flush()
    end
    httpd.trailer { ["grpc-status"] = "0" }
end)

-- A stream of answers: the request "COUNT SIZE" asks for so many messages.
httpd.register_handler("/test.Test/Stream", function()
    local count, size = read_message():match("^(%d+) (%d+)$")
    httpd.header { ["content-type"] = "application/grpc" }
    local data = message(text(0, tonumber(size)))
    for _ = 1, tonumber(count) do
        if not httpd.write(nil, data) then return end
    end
    httpd.trailer { ["grpc-status"] = "0" }
end)
