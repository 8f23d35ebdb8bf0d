-- Writes who the script is told that it serves.
httpd.register_handler("/", function(env, header)
    local words = {}
    for _, name in ipairs { "CLIENT_ADDR", "CLIENT_PORT", "SERVER_ADDR",
        "SERVER_PORT", "PEER_ADDR", "PEER_PORT", "REMOTE_ADDR", "HTTPS",
        "SSL_PROTOCOL", "SSL_CIPHER", "SSL_SERVER_NAME" } do
        words[#words + 1] = name .. "=" .. tostring(env[name])
    end
    words[#words + 1] = "scheme=" .. header[":scheme"]
    httpd.write(nil, table.concat(words, "\n") .. "\n")
end)

httpd.register_handler("/raise", function() error("on purpose") end)
