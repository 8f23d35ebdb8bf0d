-- Server-sent events: the answer stays open and each event is shown when it is
-- sent.  A waiting handler costs a coroutine, not a thread.  What one visitor
-- says, all see at once: it is published on a channel.
--
--     lhttpd -f -p 8080 -l / events.lua
--     curl -N 'http://127.0.0.1:8080/stream?count=3'
--     curl -d 'text=Hello' http://127.0.0.1:8080/say

local style = require "style"

local page = style.page("Events", [[
<script src="script.js" defer></script>
]], [[
<h1>Events</h1>
<p>The server tells its time each second, and at once what anybody says.</p>
<form id="say" class="row"><input name="text" maxlength="200" aria-label="Message">
<button>Say it to all</button></form>
<ul id="events"></ul>
]])

local script = [[
"use strict";
const source = new EventSource("stream");
function show(event) {
    const line = document.createElement("li");
    line.textContent = event.data;
    document.getElementById("events").prepend(line);
}
source.addEventListener("tick", show);
source.addEventListener("said", show);
document.getElementById("say").addEventListener("submit", (event) => {
    event.preventDefault();
    fetch("say", {
        method: "POST",
        body: new URLSearchParams(new FormData(event.target)),
    });
    event.target.reset();
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
    local said = httpd.subscribe("said")
    local event, text = "tick"
    while true do
        n = n + 1
        -- What was written leaves when the handler waits, here in read.  Both
        -- return nil once the client has gone or the server stops.
        local sent = httpd.write(nil, ("id: %d\nevent: %s\ndata: %s\n\n")
            :format(n, event, text or os.date("!%H:%M:%S UTC")))
        if not sent or n == count then
            break
        end
        local why
        text, why = httpd.read(said, nil, seconds)
        event = text and "said" or "tick"
        if not text and why ~= "timeout" then
            break
        end
    end
end)

-- A line break would end the event's line.
httpd.register_handler("/say", function(env)
    if env.REQUEST_METHOD ~= "POST" then
        return httpd.header { [":status"] = "405", allow = "POST" }
    end
    local form = httpd.query(httpd.read(nil, 4096))
    if not form then return end
    local text = form.text or ""
    httpd.publish("said", (text:sub(1, 200):gsub("%c", " ")))
    httpd.header { [":status"] = "204" }
end)

style.serve()
