-- Mapped below a prefix of its own.
httpd.register_handler("/", function(env)
    httpd.write(nil, "ui\n")
end)
httpd.register_handler("/files/*", function(env)
    httpd.write(nil, env.PATH_INFO .. "\n")
end)
