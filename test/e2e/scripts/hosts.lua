-- What a script asks of the system it is on, each thing checked.  The query
-- "unknown" says that nobody knows how children end.
local function same(found, wanted)
    if found ~= wanted then
        error(("%s is not %s"):format(tostring(found), tostring(wanted)), 2)
    end
end

local unknown

local function ends(p, wanted, how, code)
    local ok, kind, n = p:close()
    if unknown then
        same(ok, nil)
        same(n, 10) -- ECHILD
    else
        same(ok, wanted)
        same(kind, how)
        same(n, code)
    end
end

-- What it prints; how it ends is looked at as well.
local function output(...)
    local p = assert(httpd.popen(...))
    local text = httpd.read(p, "a")
    ends(p, true, "exit", 0)
    return text
end

local checks = {}

function checks.shell()
    local p = assert(io.popen("echo one; echo two; exit 3"))
    same(httpd.read(p, "l"), "one")
    same(p:read("*l"), "two")
    ends(p, nil, "exit", 3)
    ends(assert(io.popen("kill -9 $$")), nil, "signal", 9)
    ends(assert(io.popen("exit 0", "w")), true, "exit", 0)
end

function checks.programs()
    local text = ("0123456789"):rep(30000)
    same(output({"cat"}, {stdin = text}), text)
    same(output({"sh", "-c", "cat >&2"}, {stdin = "x", stderr = "stdout"}),
         "x")
    same(output({"sh", "-c", "echo $A"}, {env = {A = "b"}}), "b\n")
    same(output({"pwd"}, {directory = "/usr"}), "/usr\n")
    local none, why, number = httpd.popen({"pwd"}, {directory = "/no/such"})
    same(none, nil)
    same(why, "directory /no/such: No such file or directory")
    same(number, 2)
end

function checks.ended()
    local p = assert(httpd.popen({"sleep", "1000"}))
    local none, why = httpd.close(p, 0.01)
    same(none, nil)
    same(why, "timeout") -- and with the handler the child goes
end

function checks.files(name)
    local text = ("a line\n"):rep(20000)
    local f = assert(httpd.open(name, "w"))
    same(httpd.write(f, text), #text)
    same(httpd.sync(f), true)
    same(f:seek("cur"), #text)
    same(f:close(), true)
    f = assert(httpd.open(name))
    same(httpd.read(f, "l"), "a line")
    same(f:read("*l"), "a line")
    same(httpd.read(f, "a"), text:sub(15))
    f:close()
end

function checks.sent(name)
    same(httpd.sendfile(name, 0, 7), 7)
end

function checks.loops()
    local n = 0
    for i = 1, 100000 do n = n + i % 7 end
    same(n, 300000)
    same(#httpd.random(16), 16)
end

httpd.register_handler("/", function(env)
    unknown = env.QUERY_STRING == "unknown"
    local name = os.tmpname()
    local order = {"shell", "programs", "ended", "files", "sent", "loops"}
    for _, check in ipairs(order) do
        -- On 5.1 nothing suspends inside pcall.
        local ok, why = coroutine.resume(coroutine.create(checks[check]), name)
        if not ok then
            httpd.write(nil, check .. ": " .. tostring(why))
            break
        end
    end
    os.remove(name)
end)

-- An octet of every kind of work, and what the system says of it.
httpd.register_handler("/popen", function()
    local p, why = io.popen("echo from a child; echo beside >&2")
    if not p then return httpd.write(nil, why) end
    local text
    text, why = httpd.read(p, "a")
    p:close()
    httpd.write(nil, text or why)
end)

httpd.register_handler("/noisy", function()
    httpd.log("a line for the log")
    print("a line for standard output")
    io.stderr:write("a line for standard error\n")
    httpd.write(nil, "quiet")
end)

httpd.register_handler("/much", function()
    local kept = {}
    for i = 1, 1000000 do kept[i] = ("%d"):format(i) end
    httpd.write(nil, "kept")
end)

-- They end when nothing is left.
httpd.register_handler("/numbers", function()
    local kept = {}
    for i = 1, math.huge do kept[i] = i end
end)

httpd.register_handler("/tables", function()
    local kept = {}
    for i = 1, math.huge do kept[i] = {i, x = i} end
end)

-- Many short ones: Lua's own table of strings grows.
httpd.register_handler("/strings", function()
    local kept = {}
    for i = 1, math.huge do kept[i] = tostring(i) end
end)

httpd.register_handler("/coroutines", function()
    local kept = {}
    for i = 1, math.huge do kept[i] = coroutine.create(print) end
end)

httpd.register_handler("/body", function()
    local text = httpd.read(nil, "a")
    httpd.write(nil, tostring(text and #text))
end)

httpd.register_handler("/hello", function()
    httpd.write(nil, "hello")
end)
