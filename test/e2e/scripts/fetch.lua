-- Runs the code in the request's body, as run.lua, with `fetch` at hand.
local here = debug.getinfo(1, "S").source:match("^@(.*/)")
package.path = here .. "../../../share/lhttpd/?.lua;" .. package.path
local fetch = require "fetch"

httpd.register_handler("/", function()
    local code = httpd.read(nil, "a") or ""
    local f = assert((loadstring or load)(code, "=body"))
    local values = {f(fetch)}
    for i = 1, 4 do values[i] = tostring(values[i]) end
    httpd.write(nil, table.concat(values, "\n", 1, 4))
end)

httpd.register_handler("/neighbour", function() httpd.write(nil, "here") end)
