-- Server-sent events: the answer stays open and each event is shown when it is
-- sent.  A waiting handler costs a coroutine, not a thread.
--
--     lhttpd -f -p 8080 -l / events.lua
--     curl -N 'http://127.0.0.1:8080/stream?count=3'

local page = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Events</title>
<script src="script.js" defer></script>
</head>
<body>
<h1>Events</h1>
<ol id="events"></ol>
</body>
</html>
]]

local script = [[
"use strict";
new EventSource("stream").addEventListener("tick", (event) => {
    const line = document.createElement("li");
    line.textContent = event.data;
    document.getElementById("events").prepend(line);
});
]]

httpd.register_handler("/", function()
    httpd.header { ["content-type"] = "text/html; charset=utf-8" }
    httpd.write(nil, page)
end)

httpd.register_handler("/script.js", function()
    httpd.header { ["content-type"] = "text/javascript; charset=utf-8" }
    httpd.write(nil, script)
end)

httpd.register_handler("/stream", function(env)
    local query = httpd.query(env.QUERY_STRING)
    local count = tonumber(query.count) or math.huge
    local seconds = math.max(tonumber(query.seconds) or 1, 0.05)
    local n = 0

    httpd.header {
        [":status"] = "200",
        ["content-type"] = "text/event-stream",
        ["cache-control"] = "no-store",
    }
    while n < count do
        n = n + 1
        -- What was written leaves when the handler waits, here in sleep.  Both
        -- return nil once the client has gone or the server stops.
        local sent = httpd.write(nil, ("id: %d\nevent: tick\ndata: %s\n\n")
            :format(n, os.date("!%H:%M:%S UTC")))
        if not sent or n == count or not httpd.sleep(seconds) then
            break
        end
    end
end)
