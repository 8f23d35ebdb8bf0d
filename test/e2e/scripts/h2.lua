-- What the tests of HTTP/2 ask for.

httpd.register_handler("/", function(env)
    httpd.header { ["content-type"] = "text/plain" }
    httpd.write(nil, "hello over " .. env.SERVER_PROTOCOL .. "\n")
end)

-- The body comes back, read at a speed that the query chooses.
httpd.register_handler("/echo", function(env)
    local query = httpd.query(env.QUERY_STRING)
    local step = tonumber(query.step) or 4096
    local pause = tonumber(query.pause)

    httpd.header { ["content-type"] = "application/octet-stream" }
    while true do
        local piece = httpd.read(nil, step)
        if not piece or piece == "" then
            break
        end
        httpd.write(nil, piece)
        if pause then
            httpd.sleep(pause)
        end
    end
end)

-- Only counts the body.
httpd.register_handler("/count", function(env)
    local slow = tonumber(env.QUERY_STRING)
    local n = 0

    while true do
        local piece = httpd.read(nil, 16384)
        if not piece or piece == "" then
            break
        end
        n = n + #piece
        if slow then
            httpd.sleep(slow)
        end
    end
    httpd.header { ["content-type"] = "text/plain" }
    httpd.write(nil, n .. "\n")
end)

httpd.register_handler("/big", function(env)
    local piece = ("0123456789abcdef"):rep(1024)

    httpd.header { ["content-type"] = "text/plain" }
    for _ = 1, tonumber(env.QUERY_STRING) or 64 do
        if not httpd.write(nil, piece) then
            break
        end
    end
end)

-- The same, and the log says that it has begun.
httpd.register_handler("/told", function()
    httpd.log("told begins")
    httpd.sleep(1)
    httpd.write(nil, "at last\n")
end)

httpd.register_handler("/slow", function()
    httpd.sleep(1)
    httpd.write(nil, "at last\n")
end)

httpd.register_handler("/fields", function(_, header)
    httpd.header { ["content-type"] = "text/plain" }
    httpd.write(nil, tostring(header.authorization) .. "\n")
    httpd.write(nil, #(header.cookie or "") .. " " ..
        (header.cookie or ""):sub(-8) .. "\n")
end)

httpd.register_handler("/trailers", function()
    while (httpd.read(nil, 4096) or "") ~= "" do
    end
    httpd.header { ["content-type"] = "text/plain" }
    httpd.write(nil, "body\n")
    httpd.trailer { ["x-sum"] = "7" }
end)

httpd.register_handler("/error", function()
    error("this handler fails")
end)
