-- What a fresh installation serves.  Put your own handlers here, then
-- "service lhttpd reload".
httpd.register_handler("/", function()
    httpd.header { [":status"] = "200", ["content-type"] = "text/plain" }
    httpd.write(nil, "lhttpd works.  This page is /etc/lhttpd/main.lua.\n")
end)
