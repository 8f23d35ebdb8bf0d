-- Shows the output of a slow command line by line, as it comes.  Other requests
-- are served meanwhile, and the command ends when the client leaves.
--
--     lhttpd -f -p 8080 -l / process.lua
--     curl -N http://127.0.0.1:8080/

-- An argument vector: no shell reads it, so nothing has to be quoted.
local command = { "sh", "-c", "for i in 1 2 3 4 5; do date; sleep 0.2; done" }

httpd.register_handler("/", function()
    local p = assert(httpd.popen(command, { stderr = "stdout" }))

    httpd.header { ["content-type"] = "text/plain; charset=utf-8" }
    while true do
        local line = httpd.read(p, "L")
        if not line or not httpd.write(nil, line) then break end
    end
    local _, how, code = httpd.close(p, 5)
    httpd.write(nil, "-- " .. tostring(how) .. " " .. tostring(code) .. "\n")
end)
