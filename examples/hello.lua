-- Says hello: curl 'http://127.0.0.1:8080/?name=Ada'
httpd.register_handler("/", function(env, header)
    local name = httpd.query(env.QUERY_STRING).name or "world"

    httpd.header { [":status"] = "200", ["content-type"] = "text/plain" }
    httpd.write(nil, "Hello, " .. name .. "!\n")
    httpd.write(nil, "This is " .. env.SERVER_PROTOCOL .. ", and you use " ..
        (header["User-Agent"] or "something unnamed") .. ".\n")
end)
