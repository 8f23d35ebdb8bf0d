-- Writes what a handler is told: curl 'http://127.0.0.1:8080/?name=Ada'
httpd.register_handler("/", function(env, header)
    httpd.header { [":status"] = "200", ["content-type"] = "text/plain" }
    for name, value in pairs(env) do
        httpd.write(nil, name .. "=" .. value .. "\n")
    end
    for name, value in pairs(header) do
        httpd.write(nil, name .. ": " .. value .. "\n")
    end
end)
