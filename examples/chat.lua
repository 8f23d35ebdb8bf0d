-- A chat by WebSockets: what one visitor says is published on a channel, which
-- every visitor of every worker hears.  A handler waits for both at once.
--
--     lhttpd -f -p 8080 -l / chat.lua

local style = require "style"

local page = style.page("Chat", [[
<script src="chat.js" defer></script>
]], [[
<h1>Chat</h1>
<p>What is said here, everybody hears who has this page open.</p>
<form id="say" class="row"><input name="text" maxlength="500" autocomplete="off"
aria-label="Message" autofocus> <button>Say</button>
<output id="state">connecting</output></form>
<ul id="said"></ul>
]])

local script = [[
"use strict";
const state = document.getElementById("state");
let socket;
function connect() {
    const url = new URL("socket", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.onopen = () => { state.textContent = "connected"; };
    socket.onmessage = (event) => {
        const line = document.createElement("li");
        line.textContent = event.data;
        document.getElementById("said").prepend(line);
    };
    // A server that reloads or restarts is found again.
    socket.onclose = () => {
        state.textContent = "connecting";
        setTimeout(connect, 1000);
    };
}
connect();
document.getElementById("say").addEventListener("submit", (event) => {
    event.preventDefault();
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(new FormData(event.target).get("text"));
    event.target.reset();
});
]]

local function text_of(kind, text)
    return function()
        httpd.header { ["content-type"] = kind .. "; charset=utf-8" }
        httpd.write(nil, text)
    end
end

httpd.register_handler("/", text_of("text/html", page))
httpd.register_handler("/chat.js", text_of("text/javascript", script))

-- A browser lets the pages of others connect to us; they say where they are
-- from.  What is no browser says nothing.
local function is_foreign(header)
    local origin = header.origin
    return origin and origin:gsub("^%w+://", "") ~= header.host
end

httpd.register_handler("/socket", function(env, header)
    if is_foreign(header) then return httpd.header { status = 403 } end
    local ws = httpd.websocket { message_bytes = 2000 }
    if not ws then return end
    local said = httpd.subscribe("chat")
    local name = ("%s:%d"):format(env.CLIENT_ADDR, env.CLIENT_PORT)

    httpd.publish("chat", name .. " has come")
    while true do
        local ready = httpd.wait { ws, said }
        local text, kind
        if ready then text, kind = httpd.read(ready) end
        if not text then break end -- gone, or the server stops
        if ready == said then
            if not httpd.write(ws, text) then break end
        elseif kind == "text" then
            httpd.publish("chat", name .. ": " .. text)
        else
            -- Text is UTF-8, and any octets as text an error of all who hear them.
            httpd.close(ws, 1003, "only text is said here")
            break
        end
    end
    httpd.publish("chat", name .. " has left")
end)

style.serve()
