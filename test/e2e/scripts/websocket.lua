-- Handlers of test_websocket.py.
local function accept(options)
    local ws, why = httpd.websocket(options)
    if not ws then httpd.log("info", why) end
    return ws
end

-- Sends back what comes, as what it came.
httpd.register_handler("/echo", function()
    local ws = accept{protocols = {"two", "one"}, message_bytes = 2 ^ 21}
    if not ws then return end
    local text, kind = httpd.read(ws)
    while text do
        if not httpd.write(ws, text, kind) then break end
        text, kind = httpd.read(ws)
    end
    httpd.log("info", "echo ends ", tostring(ws.code), " ", tostring(ws.reason),
              " ", tostring(kind))
end)

-- How many octets of a message came, in pieces of at most 1000.
httpd.register_handler("/pieces", function()
    local ws = accept{message_bytes = 1000}
    if not ws then return end
    local total, pieces = 0, 0
    while true do
        local piece, _, more = httpd.read(ws, 1000)
        if not piece then break end
        total, pieces = total + #piece, pieces + 1
        if not more then
            httpd.write(ws, ("%d in %d"):format(total, pieces))
            total, pieces = 0, 0
        end
    end
end)

-- Does not read, but for "go" at the end of a long sleep.
httpd.register_handler("/sleeps", function()
    local ws = accept()
    if ws and httpd.sleep(60) then httpd.write(ws, "woken") end
end)

-- Never reads: it waits for what nobody publishes.
httpd.register_handler("/listens", function()
    local ws, quiet = accept(), httpd.subscribe("quiet")
    if not ws then return end
    local _, why = httpd.read(quiet, nil, 3600)
    httpd.log("info", "stopped to listen:", why)
end)

httpd.register_handler("/small", function()
    local ws = accept{message_bytes = 10}
    if not ws then return end
    local text, why = httpd.read(ws)
    httpd.log("info", "small got ", tostring(text), " ", tostring(why))
end)

-- Says what it is told.
httpd.register_handler("/closes", function()
    local ws = accept()
    if not ws then return end
    local code = httpd.read(ws)
    httpd.close(ws, tonumber(code), "because")
    local last = httpd.read(ws)
    httpd.log("info", "closed ", tostring(last), " ", tostring(ws.code), " ",
              tostring(httpd.write(ws, "late")))
end)

httpd.register_handler("/fails", function()
    local ws = accept()
    if ws then error((httpd.read(ws))) end
end)

-- A megabyte again and again, to a client that may not read.
httpd.register_handler("/floods", function()
    local ws = accept()
    if not ws then return end
    local megabyte, sent = ("x"):rep(1048576), 0
    while httpd.write(ws, megabyte, "binary") do
        sent = sent + 1
        if sent == 64 then break end
    end
    httpd.log("info", "flooded ", sent)
end)

-- Everything that is published is told, and everything that is said published.
httpd.register_handler("/chat", function(env)
    local ws = accept()
    if not ws then return end
    local said = httpd.subscribe("chat")
    httpd.write(ws, "worker " .. env.WORKER)
    while true do
        local ready, why = httpd.wait{ws, said}
        if not ready then
            httpd.write(ws, why)
            break
        end
        local text = httpd.read(ready)
        if not text then break end
        if ready == ws then httpd.publish("chat", text)
        else httpd.write(ws, text) end
    end
end)

httpd.register_handler("/plain", function()
    httpd.write(nil, "plain")
end)

-- Sends back what comes and holds nothing of it.
httpd.register_handler("/forgets", function()
    local ws = accept{message_bytes = 2 ^ 21}
    while ws do
        local text, kind = httpd.read(ws)
        if not text or not httpd.write(ws, text, kind) then break end
    end
end)

-- The KiB that the worker's scripts need.
httpd.register_handler("/needs", function()
    collectgarbage()
    httpd.write(nil, ("%.0f"):format(collectgarbage("count")))
end)
