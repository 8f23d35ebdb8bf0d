-- Serves one file, in two ways: /pieces reads and writes it, which is the way
-- if the octets are to be changed; /file leaves it to httpd.serve_file, which knows
-- ranges, so that a download can be resumed.
--
--     DOWNLOAD=big.iso lhttpd -f -p 8080 -l / download.lua
--     curl -o a http://127.0.0.1:8080/pieces
--     curl -C - -o b http://127.0.0.1:8080/file

local path = os.getenv("DOWNLOAD")

-- The file and its length.  assert: a nil would mean the client to httpd.read.
local function open(env)
    local f = assert(httpd.open(path or env.SCRIPT_FILENAME))

    return f, assert(f:seek("end"))
end

httpd.register_handler("/pieces", function(env)
    local f, length = open(env)

    f:seek("set", 0)
    httpd.header{["content-type"] = "application/octet-stream",
        ["content-length"] = length}
    while true do
        local piece = httpd.read(f, 65536)
        if not piece or not httpd.write(nil, piece) then break end
    end
    f:close()
end)

httpd.register_handler("/file", function(env)
    httpd.serve_file(path or env.SCRIPT_FILENAME,
        { type = "application/octet-stream" })
end)
