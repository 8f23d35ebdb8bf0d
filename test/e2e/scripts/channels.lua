-- Streams what is published on "news", and publishes it.
local function query(env)
    return httpd.query(env.QUERY_STRING)
end

-- Each message is a line; the last line says what was lost, or why it ended.
httpd.register_handler("/read", function(env)
    local s = httpd.subscribe("news", { queue = tonumber(query(env).queue) })
    httpd.write(nil, "worker " .. env.WORKER .. "\n")
    while true do
        local text, why = httpd.read(s)
        if not text then
            return httpd.write(nil, why .. "\n")
        elseif text == "quit" then
            return httpd.write(nil, "dropped " .. s:dropped() .. "\n")
        elseif not httpd.write(nil, text .. "\n") then
            return
        end
    end
end)

-- "text", and as many octets as "pad" says before it.
httpd.register_handler("/say", function(env)
    local q = query(env)
    httpd.publish("news", ("."):rep(tonumber(q.pad) or 0) .. q.text)
    httpd.header { [":status"] = "204" }
end)
