-- A shell in the browser: each line is run by sh, its output is shown as it
-- comes, and Stop interrupts it.  Whoever has the address that the log tells may
-- do all that the server's user may, so it is for machines of your own, behind
-- HTTPS.
--
--     lhttpd -f -p 8080 -l / console.lua

local style = require "style"

local page = style.page("Console", [[
<meta name="referrer" content="no-referrer">
<script src="console.js" defer></script>
]], [[
<h1>Console</h1>
<p>Each line is run by <code>sh</code> on the server.</p>
<pre id="output" tabindex="0"></pre>
<form id="run" class="row"><label><code id="directory"></code>
<input name="line" autocomplete="off" autofocus></label>
<button>Run</button> <button type="button" id="stop">Stop</button></form>
]])

local script = [[
"use strict";
const output = document.getElementById("output");
const directory = document.getElementById("directory");
const input = document.querySelector("input");
const decoder = new TextDecoder();
const url = new URL("socket" + location.search, location.href);
url.protocol = url.protocol.replace("http", "ws");
const socket = new WebSocket(url);
socket.binaryType = "arraybuffer";
function show(text) {
    output.textContent = (output.textContent + text).slice(-100000);
    scrollTo(0, document.body.scrollHeight);
}
// Text is the directory for the next line, all else output.
socket.onmessage = (event) => {
    if (typeof event.data === "string") {
        directory.textContent = event.data + " $";
        input.disabled = false;
        input.focus();
    } else {
        show(decoder.decode(event.data, { stream: true }));
    }
};
socket.onclose = (event) => show("\n-- closed " + event.reason + "\n");
document.getElementById("run").addEventListener("submit", (event) => {
    event.preventDefault();
    show(directory.textContent + " " + input.value + "\n");
    socket.send(input.value);
    input.value = "";
    input.disabled = true;
});
document.getElementById("stop").addEventListener("click", () => {
    socket.send("\u0003");
});
]]

-- Nobody can guess it, and all workers have the same one.
local function make_token()
    local token = httpd.random(16):gsub(".", function(c)
        return ("%02x"):format(c:byte())
    end)
    if httpd.shared.add("console", token) then
        httpd.log("notice", "the console is at /?" .. token)
    end
end
make_token()

local function is_allowed(env, header)
    local origin = header.origin
    return httpd.shared.get("console") == env.QUERY_STRING and
        (not origin or origin:gsub("^%w+://", "") == header.host)
end

httpd.register_handler("/", function(env, header)
    if not is_allowed(env, header) then
        return httpd.header { status = 403 }
    end
    httpd.header { ["content-type"] = "text/html; charset=utf-8" }
    httpd.write(nil, page)
end)

httpd.register_handler("/console.js", function()
    httpd.header { ["content-type"] = "text/javascript; charset=utf-8" }
    httpd.write(nil, script)
end)

-- The first line is the process group; behind the last zero byte is where the
-- line has left the shell.  An interrupt ends the line, also between two of
-- its commands.  Where there is no such directory (any more) it is not run.
local runner = [[
finish() {
    trap '' INT
    printf '\000%s' "$PWD"
    exit
}
trap finish INT
echo $$
if cd "$2"; then eval "$1"; else cd /; fi
finish]]

local function interrupt(group)
    local p = httpd.popen { "sh", "-c", "kill -s INT -- -" .. group }
    if p then httpd.close(p) end
end

local LONGEST = 4096 -- the name of a directory

-- What may be shown of the output, and what may be the directory: behind the
-- last zero byte so far, for a line may say some, too.
local function split(rest, text)
    -- Anchored: else it would be tried from each octet on.
    local mark = text:match("^.*()%z")
    if mark then
        return (rest and "\0" .. rest or "") .. text:sub(1, mark - 1),
            text:sub(mark + 1)
    end
    if not rest then return text end
    if #rest + #text > LONGEST then return "\0" .. rest .. text end
    return "", rest .. text
end

-- Runs a line and sends what it says.  The directory afterwards; nil: the
-- client has gone, or the server stops.
local function run(ws, line, directory)
    local p = assert(httpd.popen({ "sh", "-c", runner, "sh", line, directory },
        { stderr = "stdout" }))
    local group = assert(httpd.read(p, "l"))
    local rest

    while true do
        local ready = httpd.wait { p, ws }
        local text = ready and httpd.read(ready)
        if ready == p then
            if not text then break end
            local shown
            shown, rest = split(rest, text)
            if shown ~= "" and not httpd.write(ws, shown, "binary") then
                return nil
            end
        elseif not text then
            return nil -- its end ends the process, too
        elseif text == "\3" then
            interrupt(group)
        end
    end
    httpd.close(p)
    return rest or directory
end

httpd.register_handler("/socket", function(env, header)
    if not is_allowed(env, header) then
        return httpd.header { status = 403 }
    end
    local ws = httpd.websocket()
    local directory = ws and run(ws, "", os.getenv("HOME") or "/")

    while directory and httpd.write(ws, directory) do
        local line
        repeat line = httpd.read(ws) until line ~= "\3"
        directory = line and run(ws, line, directory)
    end
end)

style.serve()
