-- Runs the code in the request's body and answers with what it returns, one
-- value a line: tests say in one place what a handler does and what comes of it.
httpd.register_handler("/", function()
    local code = httpd.read(nil, "a") or ""
    local values = {assert((loadstring or load)(code, "=body"))()}
    for i = 1, 4 do values[i] = tostring(values[i]) end
    httpd.write(nil, table.concat(values, "\n", 1, 4))
end)

httpd.register_handler("/neighbour", function() httpd.write(nil, "here") end)
