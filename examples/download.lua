-- Serves one file, in two ways: /pieces reads and writes it, which is the way
-- if the octets are to be changed; /file leaves it to httpd.sendfile and knows
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

local function header(status, length, more)
    local fields = more or {}

    fields[":status"] = status
    fields["content-type"] = "application/octet-stream"
    fields["content-length"] = length
    httpd.header(fields)
end

httpd.register_handler("/pieces", function(env)
    local f, length = open(env)

    f:seek("set", 0)
    header(200, length)
    while true do
        local piece = httpd.read(f, 65536)
        if not piece or not httpd.write(nil, piece) then break end
    end
    f:close()
end)

httpd.register_handler("/file", function(env, fields)
    local f, length = open(env)
    local first, last = (fields.range or ""):match("^bytes=(%d+)-(%d*)$")

    if not first then
        header(200, length, { ["accept-ranges"] = "bytes" })
        httpd.sendfile(f)
        f:close()
        return
    end
    first = tonumber(first)
    last = math.min(tonumber(last) or length - 1, length - 1)
    if first > last then
        header(416, 0, { ["content-range"] = "bytes */" .. length })
    else
        header(206, last - first + 1, { ["content-range"] =
            ("bytes %.0f-%.0f/%.0f"):format(first, last, length) })
        httpd.sendfile(f, first, last - first + 1)
    end
    f:close()
end)
