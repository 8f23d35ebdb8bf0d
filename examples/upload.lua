-- Takes files: a browser's form with as many as it likes, or the body of a PUT.
-- They go to the disk in small steps, and each has its name once it is there as a
-- whole, whatever happens meanwhile.
--
--     lhttpd -f -p 8080 -l / upload.lua
--     curl -T photo.jpg http://127.0.0.1:8080/files/photo.jpg
--     curl -F file=@photo.jpg -F file=@other.jpg http://127.0.0.1:8080/

local style = require "style"
local directory = os.getenv("UPLOADS") or "/tmp"

local page = style.page("Upload", [[
<script src="upload.js" defer></script>
]], [[
<h1>Upload</h1>
<p>Files of any size: they go to the disk as they come.</p>
<form id="form" class="row" method="post" enctype="multipart/form-data">
<input type="file" name="file" multiple required aria-label="Files">
<button>Send</button>
</form>
<progress id="progress" value="0" max="1" hidden></progress>
<pre id="answer" hidden></pre>
]])

-- Without it the form works too, but shows no progress.
local script = [[
"use strict";
const $ = (id) => document.getElementById(id);
function say(text) {
    $("answer").hidden = false;
    $("answer").textContent = text;
}
$("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", location.href);
    request.upload.onprogress = ({ loaded, total }) => {
        $("progress").hidden = false;
        $("progress").value = loaded / total;
        say(`${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`);
    };
    request.onload = () => say(request.status === 200 ? request.responseText
        : `The server has refused it: ${request.status}`);
    request.onerror = () => say("The connection was lost.");
    request.send(new FormData($("form")));
});
]]

local function answer(status, text, kind)
    httpd.header {
        [":status"] = status,
        ["content-type"] = (kind or "text/plain") .. "; charset=utf-8",
        ["x-content-type-options"] = "nosniff",
    }
    httpd.write(nil, text)
end

local function unique()
    return (httpd.random(8):gsub(".", function(c)
        return ("%02x"):format(c:byte())
    end))
end

-- Copies a body, or a part of a form; returns its length, or nil and what is wrong.
local function receive(stream, f)
    local bytes = 0

    while true do
        local data, why, words = httpd.read(stream, 65536)
        if not data then
            if why then return nil, words or why end
            break
        end
        local written, problem = httpd.write(f, data)
        if not written then return nil, problem end
        bytes = bytes + written
    end
    -- A rename is only safe for what is on the disk.
    local synced, why = httpd.sync(f)
    if not synced then return nil, why end
    return bytes
end

-- Makes the file; returns its length, or nil and what is wrong.
local function store(stream, name)
    local path = directory .. "/" .. name
    local temporary = path .. ".part-" .. unique()
    local f, why = httpd.open(temporary, "w")

    if not f then return nil, why end
    local bytes, problem = receive(stream, f)
    f:close()
    if bytes and os.rename(temporary, path) then return bytes end
    os.remove(temporary)
    return nil, problem or "it could not be renamed"
end

-- What a browser calls a file is not to be believed: no directories, no hidden
-- files, nothing that leads elsewhere.
local function plain_name(name)
    name = name:match("[^/\\]*$"):gsub("[^%w._-]", "_"):sub(-100):gsub("^%.+", "")
    return name ~= "" and name or "unnamed"
end

local function take_form()
    local lines = {}

    for part in httpd.multipart() do
        if part.filename and part.filename ~= "" then
            local name = plain_name(part.filename)
            -- Where the form is to blame an error is answered with 400 or 413.
            local bytes = assert(store(part, name))
            lines[#lines + 1] = ("%s: %d bytes\n"):format(name, bytes)
        else
            httpd.read(part, "a")
        end
    end
    answer(200, #lines > 0 and lines or "no file was sent\n")
end

httpd.register_handler("/", function(env)
    if env.REQUEST_METHOD == "POST" then return take_form() end
    answer(200, page, "text/html")
end)

httpd.register_handler("/upload.js", function()
    answer(200, script, "text/javascript")
end)

httpd.register_handler("/files/*", function(env)
    local name = env.PATH_INFO:match("^([%w_][%w._-]*)$")

    if env.REQUEST_METHOD ~= "PUT" and env.REQUEST_METHOD ~= "POST" then
        return answer(405, "PUT a file here\n")
    end
    if not name or #name > 100 then
        return answer(400, "this is not a name for a file\n")
    end
    local bytes, why = store(nil, name)
    if not bytes then return answer(500, why .. "\n") end
    answer(201, name .. ": " .. bytes .. " bytes\n")
end)

style.serve()
