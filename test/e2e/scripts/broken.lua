-- Does not load.
httpd.register_handler("/", function()
    httpd.write(nil, "x"
end)
