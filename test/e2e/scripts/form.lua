-- Says what a form has; files of the directory in FORM_DIRECTORY get what its
-- parts have.
local directory = os.getenv("FORM_DIRECTORY")

local function copy(part, number)
    local f = assert(httpd.open(directory .. "/" .. number, "w"))
    local bytes = 0
    while true do
        local data, why, words = httpd.read(part, 65536)
        if not data then
            f:close()
            return bytes, why and (why .. ": " .. tostring(words))
        end
        assert(httpd.write(f, data))
        bytes = bytes + #data
    end
end

httpd.register_handler("/", function()
    local lines = {}
    for part in httpd.multipart({part_bytes = 300e6}) do
        local bytes, why = copy(part, #lines + 1)
        if why then return end
        lines[#lines + 1] = ("%s|%s|%s|%d\n"):format(part.name,
            part.filename or "-", part.type or "-", bytes)
    end
    httpd.write(nil, lines)
end)

httpd.register_handler("/small", function()
    for part in httpd.multipart{part_bytes = 1000, parts = 2} do
        httpd.read(part, "a")
    end
    httpd.write(nil, "fine")
end)

-- Reads nothing of the parts but their names.
httpd.register_handler("/names", function()
    local parts, names = httpd.multipart(), {}
    local part = parts()
    while part do
        names[#names + 1] = part.name .. "\n"
        part = parts()
    end
    httpd.write(nil, names)
end)

-- Has no answer for a part that does not come whole.
httpd.register_handler("/whole", function()
    for part in httpd.multipart() do
        while assert(httpd.read(part, "a")) ~= "" do end
    end
    httpd.write(nil, "whole")
end)
