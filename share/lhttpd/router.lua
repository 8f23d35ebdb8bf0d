-- Routes with methods and parameters, and answers in JSON, for scripts that want
-- them: docs/router.md says more.  A file of its own, on the functions of httpd alone.
--
--     local app = require("router").new()
--     app:get("/items/{id}", function(request)
--         return {id = request.params.id}
--     end)
--     app:serve()

local router = {}

-- --- JSON ---------------------------------------------------------------------

-- lua-cjson if it is installed, else dkjson, else nil.
local function load_json()
    local ok, module = pcall(require, "cjson.safe")
    if ok then return module end
    ok, module = pcall(require, "dkjson")
    if not ok then return nil end
    return {
        null = module.null,
        encode = module.encode,
        decode = function(text)
            -- It calls itself for what is inside, and so may run out of stack.
            local fine, value, at, why = pcall(module.decode, text, 1, module.null)
            if not fine then return nil, "too deep" end
            if why then return nil, why end
            -- It stops at the end of the value, and nothing may follow.
            if text:find("%S", at) then return nil, "more than one value" end
            return value
        end,
    }
end

local json = load_json()

-- What stands for null where JSON is read; it can be written, too.
router.null = json and json.null

local function need_json()
    if json then return json end
    error("router: JSON needs lua-cjson or dkjson, and neither is installed", 0)
end

-- The text of a value; raises for what has none.
function router.encode(value)
    local text, why = need_json().encode(value)
    if not text then error("router: " .. tostring(why), 0) end
    return text
end

-- The value of a text; nil and why for what is no JSON.
function router.decode(text)
    return need_json().decode(text)
end

-- --- patterns -----------------------------------------------------------------

-- Cuts a path at its slashes: "/a//b" is "", "a", "", "b".
local function segments(path)
    local list = {}
    for segment in (path .. "/"):gmatch("([^/]*)/") do
        list[#list + 1] = segment
    end
    return list
end

-- Per segment of a pattern: a string, {name}, or {name, rest = true}.
local function compile(pattern)
    if type(pattern) ~= "string" or pattern:sub(1, 1) ~= "/" then
        error("router: a pattern begins with '/'", 4)
    end
    local parts, names = segments(pattern), {}
    for i, part in ipairs(parts) do
        local name, star = part:match("^{([%a_][%w_]*)(%*?)}$")
        if name then
            if names[name] then
                error("router: '" .. name .. "' is twice in " .. pattern, 4)
            end
            if star == "*" and i < #parts then
                error("router: {" .. name .. "*} is the last part", 4)
            end
            names[name] = true
            parts[i] = {name, rest = star == "*"}
        elseif part:find("[{}]") then
            error("router: '" .. part .. "' is neither text nor {name}", 4)
        end
    end
    return parts
end

-- The parameters, or nil: the path is another one.  A parameter is never empty.
local function match(parts, path)
    local params = {}
    for i, part in ipairs(parts) do
        local segment = path[i]
        if not segment then return nil end
        if type(part) == "string" then
            if part ~= segment then return nil end
        elseif part.rest then
            params[part[1]] = table.concat(path, "/", i)
            return params
        elseif segment == "" then
            return nil
        else
            params[part[1]] = segment
        end
    end
    return #path == #parts and params or nil
end

-- Text is more exact than a parameter, a parameter more than a rest; of two alike
-- the first one stays.
local function rank(parts)
    local text = {}
    for i, part in ipairs(parts) do
        text[i] = type(part) == "string" and "a" or part.rest and "c" or "b"
    end
    return table.concat(text)
end

-- --- answers ------------------------------------------------------------------

local function reply(status, fields, body)
    local header = {[":status"] = status}
    for name, value in pairs(fields) do header[name] = value end
    httpd.header(header)
    if body then httpd.write(nil, body) end
end

-- What a handler returns: nothing, a string (text), or a table or null (JSON); a
-- status may follow, and more fields.
local function answer(value, status, fields)
    if value == nil and status == nil then return end
    if fields ~= nil and type(fields) ~= "table" then
        error("router: a handler's fields are a table, not a " .. type(fields), 0)
    end
    local header, body = {}, value
    if type(value) == "table" or value ~= nil and value == router.null then
        header["content-type"] = "application/json"
        body = router.encode(value)
    elseif value ~= nil then
        header["content-type"] = "text/plain; charset=utf-8"
        body = tostring(value)
    end
    for name, field in pairs(fields or {}) do header[name:lower()] = field end
    reply(status or 200, header, body)
end

-- --- requests -----------------------------------------------------------------

local request_methods = {}
local request_meta = {__index = request_methods}

-- What the query says, by name.
function request_methods:query()
    return httpd.query(self.env.QUERY_INFO)
end

-- The body's value, or nil and why: "too large" beyond 1 MiB.
function request_methods:json()
    local text, why = httpd.read(nil, "a")
    if not text then return nil, why or "malformed" end
    return router.decode(text)
end

-- --- applications -------------------------------------------------------------

local app = {}
local app_meta = {__index = app}

function router.new()
    return setmetatable({routes = {}}, app_meta)
end

local function find_route(self, pattern, parts)
    for _, route in ipairs(self.routes) do
        if route.pattern == pattern then return route end
    end
    local route = {pattern = pattern, parts = parts, rank = rank(parts),
                   order = #self.routes, methods = {}}
    table.insert(self.routes, route)
    table.sort(self.routes, function(a, b)
        if a.rank ~= b.rank then return a.rank < b.rank end
        return a.order < b.order
    end)
    return route
end

-- Mistakes are those of the line that has called the caller.
local function add(self, methods, pattern, handler)
    if type(methods) ~= "string" or not methods:find("^%s*[%u%d*_-][%u%d%s*_-]*$") then
        error("router: methods are a string in capitals, as 'GET POST'", 3)
    end
    local parts = compile(pattern)
    if type(handler) ~= "function" then
        error("router: the handler of " .. pattern .. " is no function", 3)
    end
    local route = find_route(self, pattern, parts)
    for method in methods:gmatch("%S+") do
        if route.methods[method] then
            error("router: " .. method .. " " .. pattern .. " is there already",
                  3)
        end
        route.methods[method] = handler
    end
end

-- Adds a route: a method or several ("GET POST"), or "*" for any.
function app:route(methods, pattern, handler)
    add(self, methods, pattern, handler)
    return self
end

for _, method in ipairs({"GET", "POST", "PUT", "PATCH", "DELETE"}) do
    app[method:lower()] = function(self, pattern, handler)
        add(self, method, pattern, handler)
        return self
    end
end

-- What answers a path that no pattern fits; it is called like other handlers.
function app:otherwise(handler)
    if type(handler) ~= "function" then
        error("router: what answers otherwise is no function", 2)
    end
    self.fallback = handler
    return self
end

-- For the field "allow": HEAD comes with GET, OPTIONS always.
local function allowed(methods)
    local list, seen = {}, {}
    local function add(method)
        if not seen[method] then list[#list + 1] = method end
        seen[method] = true
    end
    for method in pairs(methods) do
        if method == "GET" then add("HEAD") end
        add(method)
    end
    add("OPTIONS")
    table.sort(list)
    return table.concat(list, ", ")
end

-- All routes that fit the path, the most exact one first.
local function find(self, path)
    local found
    for _, route in ipairs(self.routes) do
        local params = match(route.parts, path)
        if params then
            found = found or {}
            found[#found + 1] = {route, params}
        end
    end
    return found
end

local function handler_of(route, method)
    local methods = route.methods
    return methods[method] or method == "HEAD" and methods.GET or methods["*"]
end

-- No handler has the method: says which there are.
local function refuse(found, method)
    local methods = {}
    for _, one in ipairs(found) do
        for name in pairs(one[1].methods) do methods[name] = true end
    end
    local fields = {allow = allowed(methods)}
    if method == "OPTIONS" then return reply(204, fields) end
    fields["content-type"] = "text/plain; charset=utf-8"
    reply(405, fields, method .. " is not for this path\n")
end

-- Answers a request; `path` begins with "/" and is decoded.
function app:handle(path, env, header)
    local method = env.REQUEST_METHOD
    local request = setmetatable({env = env, header = header, path = path,
                                  method = method, params = {}}, request_meta)
    local found = find(self, segments(path))

    for _, one in ipairs(found or {}) do
        local handler = handler_of(one[1], method)
        if handler then
            request.params = one[2]
            return answer(handler(request))
        end
    end
    if found then return refuse(found, method) end
    if self.fallback then return answer(self.fallback(request)) end
    reply(404, {["content-type"] = "text/plain; charset=utf-8"},
          "there is nothing at " .. path .. "\n")
end

-- Registers it for everything below `prefix`, "/" unless given.
function app:serve(prefix)
    if prefix ~= nil and type(prefix) ~= "string" then
        error("router: a prefix is a string, not a " .. type(prefix), 2)
    end
    prefix = (prefix or "/"):gsub("/*$", "")
    httpd.register_handler(prefix == "" and "/" or prefix, function(env, header)
        return self:handle("/", env, header)
    end)
    httpd.register_handler(prefix .. "/*", function(env, header)
        return self:handle("/" .. env.PATH_INFO, env, header)
    end)
    return self
end

return router
