-- Answers the HTTP-01 challenge of ACME (RFC 8555): what a client such as
-- certbot puts into its webroot is served to who signs the certificate.
--
--     WEBROOT=/var/lib/acme lhttpd -p 80 -l /.well-known/acme-challenge acme.lua
--     certbot certonly --webroot -w /var/lib/acme -d www.example.org

local webroot = os.getenv("WEBROOT") or "/var/lib/acme"

httpd.register_handler("/*", function(env)
    -- A token has no other character, so the path leads nowhere else.
    local token = env.PATH_INFO:match("^/?([%w_-]+)$")
    local f = token and
        httpd.open(webroot .. "/.well-known/acme-challenge/" .. token)

    if not f then
        httpd.header { [":status"] = "404", ["content-length"] = "0" }
        return
    end
    httpd.header { ["content-type"] = "application/octet-stream" }
    httpd.write(nil, (httpd.read(f, 4096)))
    f:close()
end)
