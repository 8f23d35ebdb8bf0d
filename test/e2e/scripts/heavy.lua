-- What test_heavy.py and test_process.py ask for.
local piece = ("x"):rep(65536)

local function number(env, name, default)
    return tonumber(httpd.query(env.QUERY_STRING)[name]) or default
end

-- The length of the body, read in steps of 4 KiB.
httpd.register_handler("/count", function()
    local n = 0
    while true do
        local data = httpd.read(nil, 4096)
        if not data then break end
        n = n + #data
    end
    httpd.write(nil, ("%d\n"):format(n))
end)

httpd.register_handler("/pieces", function(env)
    httpd.header { [":status"] = "200", ["content-type"] = "text/plain" }
    for _ = 1, number(env, "n", 1600) do
        if not httpd.write(nil, piece) then return end
    end
end)

httpd.register_handler("/small", function()
    httpd.write(nil, "small\n")
end)

-- Holds its worker, as a script that computes does.
httpd.register_handler("/busy", function()
    httpd.log("notice", "busy")
    local began = os.time()
    while os.time() - began < 2 do end
    httpd.write(nil, "busy\n")
end)

httpd.register_handler("/sleep", function(env)
    httpd.log("notice", "asleep")
    httpd.sleep(number(env, "s", 1))
    httpd.write(nil, "awake\n")
end)

-- Begins an answer and goes on when the body comes.
httpd.register_handler("/body", function()
    httpd.log("notice", "waits for the body")
    httpd.write(nil, "got " .. #(httpd.read(nil, "a") or "") .. "\n")
end)
