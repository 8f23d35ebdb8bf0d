-- The smallest handler that shows what it is given.
httpd.register_handler("/", function(env, header)
    httpd.header({[":status"] = "200", ["content-type"] = "text/plain"})
    for k, v in pairs(env) do
        httpd.write(nil, k .. "=" .. v .. "\n")
    end
    for k, v in pairs(header) do
        httpd.write(nil, k .. "=" .. v .. "\n")
    end
end)
