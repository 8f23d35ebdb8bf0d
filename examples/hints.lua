-- Early hints: while the page is still being made, a first answer (103) tells
-- the browser what the page will need, so that it fetches that meanwhile.
-- Browsers take hints over HTTP/2 and HTTPS; others pass over them.
--
--     lhttpd -f -p 8080 -l / hints.lua
--     curl -i --http2-prior-knowledge http://127.0.0.1:8080/

local style = require "style"

local page = style.page("Hinted", "", [[
<h1>Hinted</h1>
<p>This page took a while; its style was there before it.</p>
]])

httpd.register_handler("/", function()
    httpd.header {
        [":status"] = "103",
        link = "<style.css>; rel=preload; as=style",
    }
    httpd.sleep(0.2) -- asks a database, a sensor, another server
    httpd.header {
        [":status"] = "200",
        ["content-type"] = "text/html; charset=utf-8",
        link = "<style.css>; rel=preload; as=style",
    }
    httpd.write(nil, page)
end)

style.serve()
