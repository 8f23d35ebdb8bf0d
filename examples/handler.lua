-- What a handler is given: `env` tells of the server and the connection,
-- `header` holds the request's fields.  This shows both as a page.
--
--     lhttpd -f -p 8080 -l / handler.lua

local style = require "style"

local function rows(values)
    local names, out = {}, {}

    for name in pairs(values) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        -- What a client sent is never put into a page as it is.
        out[#out + 1] = "<tr><th>" .. httpd.escape_html(name) .. "</th><td>" ..
            httpd.escape_html(values[name]) .. "</td></tr>\n"
    end
    return table.concat(out)
end

local page = style.page("A request", "", [[
<h1>env</h1>
<table>
%s</table>
<h1>header</h1>
<table>
%s</table>
]])

httpd.register_handler("/", function(env, header)
    httpd.header {
        [":status"] = "200",
        ["content-type"] = "text/html; charset=utf-8",
        ["cache-control"] = "no-store",
    }
    httpd.write(nil, page:format(rows(env), rows(header)))
end)

style.serve()
