-- Writes what the script is told of its client's certificate.
httpd.register_handler("/", function(env)
    httpd.write(nil, "verify=" .. tostring(env.SSL_CLIENT_VERIFY) .. "\n" ..
        "subject=" .. tostring(env.SSL_CLIENT_S_DN) .. "\n" ..
        "fingerprint=" .. tostring(env.SSL_CLIENT_FINGERPRINT) .. "\n" ..
        "protocol=" .. env.SERVER_PROTOCOL .. "\n")
end)
