-- Takes files: the body of a PUT or POST goes to the disk in small steps, and
-- has its name once it is there as a whole, whatever happens meanwhile.
--
--     lhttpd -f -p 8080 -l / upload.lua
--     curl -T photo.jpg http://127.0.0.1:8080/files/photo.jpg

local directory = os.getenv("UPLOADS") or "/tmp"

local function answer(status, text)
    httpd.header { [":status"] = status, ["content-type"] = "text/plain" }
    httpd.write(nil, text .. "\n")
end

local function unique()
    return (httpd.random(8):gsub(".", function(c)
        return ("%02x"):format(c:byte())
    end))
end

-- Copies the body; returns its length, or nil and what is wrong.
local function receive(f)
    local bytes = 0

    while true do
        local part, why = httpd.read(nil, 65536)
        if not part then
            if why then return nil, why end
            break
        end
        local written, problem = httpd.write(f, part)
        if not written then return nil, problem end
        bytes = bytes + written
    end
    -- A rename is only safe for what is on the disk.
    local synced, why = httpd.sync(f)
    if not synced then return nil, why end
    return bytes
end

httpd.register_handler("/files/*", function(env)
    -- No directories, no hidden files: nothing that leads elsewhere.
    local name = env.PATH_INFO:match("^([%w_][%w._-]*)$")

    if env.REQUEST_METHOD ~= "PUT" and env.REQUEST_METHOD ~= "POST" then
        return answer(405, "PUT a file here")
    end
    if not name or #name > 100 then
        return answer(400, "this is not a name for a file")
    end
    local path = directory .. "/" .. name
    local temporary = path .. ".part-" .. unique()
    local f, why = httpd.open(temporary, "w")
    if not f then
        return answer(500, why)
    end
    local bytes, problem = receive(f)
    f:close()
    if bytes and os.rename(temporary, path) then
        return answer(201, name .. ": " .. bytes .. " bytes")
    end
    os.remove(temporary)
    answer(500, problem or "it could not be renamed")
end)
