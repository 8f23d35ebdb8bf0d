-- Server push: the page's style and script are promised before the page itself
-- is sent, so the client has them without asking.  Only HTTP/2 clients that
-- accept pushes get them; for all others the page just works.  Today's browsers
-- do not accept pushes: hints.lua is for them.
--
--     lhttpd -f -p 8080 -l / push.lua
--     nghttp -ans http://127.0.0.1:8080/

local style = require "style"

local page = style.page("Pushed", [[
<script src="script.js" defer></script>
]], [[
<h1>Pushed</h1>
<p id="said">Its script has not come yet.</p>
]])

local script = [[
"use strict";
document.getElementById("said").textContent = "Its script has come.";
]]

httpd.register_handler("/", function(env, header)
    if env["PUSH_PROMISE"] then
        -- What the promised request would look like; method, scheme and
        -- authority are those of this one unless given.  Its handler then runs
        -- by itself, at the same time.
        local here = header[":path"]:match("^[^?]*") -- ends in a slash
        for _, name in ipairs { "style.css", "script.js" } do
            httpd.header {
                [":path"] = here .. name,
                ["accept-language"] = header["accept-language"],
            }
        end
    end
    httpd.header { ["content-type"] = "text/html; charset=utf-8" }
    httpd.write(nil, page)
end)

httpd.register_handler("/script.js", function()
    httpd.header { ["content-type"] = "text/javascript; charset=utf-8" }
    httpd.write(nil, script)
end)

style.serve()
