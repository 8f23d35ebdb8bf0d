-- Handlers that do one thing each, told by the query how much of it.
local function number(env, default)
    return tonumber(env.QUERY_STRING) or default
end

httpd.register_handler("/", function()
    httpd.write(nil, "hello\n")
end)

httpd.register_handler("/notfound", function(env, header)
    httpd.write(nil, "nothing at " .. header[":path"] .. "\n")
end)

-- The request body, as it comes.
httpd.register_handler("/echo", function()
    httpd.header({["content-type"] = "application/octet-stream"})
    while true do
        local data, message = httpd.read(nil)
        if not data then
            if message then
                httpd.log("echo:", message)
            end
            return
        end
        httpd.write(nil, data)
    end
end)

-- The length of the request body, read in steps of 4 KiB.
httpd.register_handler("/upload", function()
    local n = 0
    while true do
        local data, message = httpd.read(nil, 4096)
        if not data then
            httpd.log("upload:", message or "end")
            return httpd.write(nil, (message or "end") .. " " .. n .. "\n")
        end
        n = n + #data
    end
end)

-- That many MiB in pieces of 64 KiB.
httpd.register_handler("/download", function(env)
    local piece = ("0123456789abcdef"):rep(4096)
    for _ = 1, number(env, 1) * 16 do
        local taken, message = httpd.write(nil, piece)
        if not taken then
            return httpd.log("download:", message)
        end
    end
end)

-- Keeps its worker busy for that many seconds.
httpd.register_handler("/busy", function(env)
    local stop = os.time() + number(env, 2)
    repeat until os.time() >= stop
    httpd.write(nil, "done\n")
end)

-- Keeps its worker busy until that file is there; makes another one, ".begun",
-- when it begins.
httpd.register_handler("/until", function(env)
    local file
    io.open(env.QUERY_STRING .. ".begun", "w"):close()
    repeat file = io.open(env.QUERY_STRING) until file
    file:close()
    httpd.write(nil, "done\n")
end)

httpd.register_handler("/sleep", function(env)
    local ok, message = httpd.sleep(number(env, 1))
    httpd.log("slept:", message or tostring(ok))
    httpd.write(nil, "slept\n")
end)

-- Three events, that many seconds apart.
httpd.register_handler("/events", function(env)
    for i = 1, 3 do
        httpd.write(nil, "event " .. i .. "\n")
        httpd.flush()
        httpd.sleep(number(env, 0.2))
    end
end)

-- Answers without reading what was sent.
httpd.register_handler("/deaf", function()
    httpd.write(nil, "no interest\n")
end)

httpd.register_handler("/fail", function()
    error("on purpose")
end)

-- Fails after that many bytes of the answer have left.
httpd.register_handler("/late", function(env)
    httpd.write(nil, ("x"):rep(number(env, 100)))
    httpd.flush()
    error("on purpose, late")
end)

-- Takes that many MiB of memory.
httpd.register_handler("/memory", function(env)
    local kept = {}
    for i = 1, number(env, 1) do
        kept[i] = tostring(i) .. ("x"):rep(1048576)
    end
    httpd.write(nil, "kept " .. #kept .. "\n")
end)

httpd.register_handler("/worker", function(env)
    httpd.write(nil, env.WORKER .. "\n")
end)

-- Answers only once the body has been read, or says why it could not be.
httpd.register_handler("/patient", function()
    local data, message = httpd.read(nil, "a")
    httpd.log("patient:", message or #data)
    if data then
        httpd.write(nil, "read " .. #data .. "\n")
    end
end)

-- Runs for that many seconds, then calls httpd.
httpd.register_handler("/overrun", function(env)
    local stop = os.clock() + number(env, 0.5)
    repeat until os.clock() >= stop
    httpd.write(nil, "too late\n")
end)

-- What a shell command prints, which is not started by io.popen.
httpd.register_handler("/execute", function(env)
    local name = os.tmpname()
    os.execute("{ " .. httpd.query(env.QUERY_STRING)[1][1] .. "\n} >" .. name)
    local f = io.open(name)
    httpd.write(nil, f:read("*a"))
    f:close()
    os.remove(name)
end)
