-- The files of a directory, by a script: httpd.serve_file.
local root = os.getenv("LHTTPD_E2E_WWW")

httpd.register_handler("/*", function(env)
    httpd.serve_file(env.PATH_INFO, { root = root })
end)

-- For what is not in the directories of -s.
httpd.register_handler("/notfound", function()
    httpd.serve_file(root .. "/file.bin", { status = 200 })
end)
