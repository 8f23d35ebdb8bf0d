-- A small site: a page, its style and its script are handlers, and /notfound
-- answers what has none.
--
--     lhttpd -f -p 8080 -l / main.lua

local style = require "style"

local page = style.page("A small site", [[
<script src="script.js" defer></script>
]], [[
<h1>A small site</h1>
<p>This page is one handler, its <a href="style.css">style</a> and its
<a href="script.js">script</a> are others.</p>
<p>It is <time id="now">some time</time> where you are.</p>
<p>There is <a href="nothing-here">nothing here</a>.</p>
]])

local script = [[
"use strict";
const now = document.getElementById("now");
const show = () => { now.textContent = new Date().toLocaleTimeString(); };
show();
setInterval(show, 1000);
]]

-- Its path may have any depth, so its style is in the page.
local missing = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Not found</title>
<link rel="icon" href="data:,">
<style>
]] .. style.css:gsub("%%", "%%%%") .. [[
</style>
</head>
<body>
<h1>Not found</h1>
<p>There is no <code>%s</code>. <a href="%s">Back to the start</a></p>
</body>
</html>
]]

-- Registers a handler that always answers the same.
local function static(name, kind, body)
    httpd.register_handler(name, function()
        httpd.header {
            [":status"] = "200",
            ["content-type"] = kind .. "; charset=utf-8",
        }
        httpd.write(nil, body)
    end)
end

static("/", "text/html", page)
static("/style.css", "text/css", style.css)
static("/script.js", "text/javascript", script)

-- The status is 404 unless a /notfound handler sets another one.
httpd.register_handler("/notfound", function(env, header)
    httpd.header { ["content-type"] = "text/html; charset=utf-8" }
    httpd.write(nil, missing:format(httpd.escape_html(header[":path"]),
        httpd.escape_html(env.SCRIPT_PREFIX)))
end)
