-- What a fresh installation serves.  Put your own handlers here, then
-- "systemctl reload lhttpd"; man lhttpd-lua says what there is.
httpd.register_handler("/", function()
    httpd.header { [":status"] = "200", ["content-type"] = "text/plain" }
    httpd.write(nil, "lhttpd works.  This page is /etc/lhttpd/main.lua.\n")
end)
