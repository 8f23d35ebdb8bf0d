-- The router of share/lhttpd.  ROUTER_JSON: "none", or "dkjson" to have that one
-- alone, which is played here.
local source = debug.getinfo(1, "S").source:sub(2)
package.path = source:gsub("test/e2e/scripts/[^/]*$", "share/lhttpd/?.lua;") ..
    package.path

local kind = os.getenv("ROUTER_JSON")
if kind then
    package.preload["cjson.safe"] = function() error("not installed") end
    package.preload["dkjson"] = function()
        if kind == "none" then error("not installed") end
        -- Like the real one for what the tests ask of it.
        return {
            null = "null!",
            encode = function(t) return '{"id":"' .. t.id .. '"}' end,
            decode = function(text, at, null)
                if text:find("^%[%[") then error("stack overflow") end
                if text:find("^null") then return null, 5 end
                local id, last = text:match('^{"id":"(%w+)"}()')
                if not id then return nil, 1, "no value" end
                return {id = id}, last
            end,
        }
    end
end

local router = require "router"
local app = router.new()

app:get("/", function() return "root\n" end)
app:get("/items/{id}", function(request)
    return {id = request.params.id}
end)
app:get("/items/new", function() return "the form\n" end)
app:put("/items/{id}", function(request)
    local value, why = request:json()
    if not value then return "not JSON: " .. why .. "\n", 400 end
    if value == router.null then return "null\n" end
    return {id = value.id}, 201, {Location = "/items/" .. value.id}
end)
app:delete("/items/{id}", function() return nil, 204 end)
app:get("/files/{path*}", function(request)
    return request.params.path .. "\n"
end)
app:get("/a/{x}/b/{y}", function(request)
    return request.params.x .. "," .. request.params.y .. "\n"
end)
app:route("GET POST", "/both", function(request)
    httpd.header{["x-method"] = request.method}
    httpd.write(nil, request.method .. " " ..
        (request:query().q or "") .. "\n")
end)
app:route("*", "/any", function(request) return request.method .. "\n" end)
app:get("/null", function() return router.null, 200 end)
app:get("/fails", function() return {f = print} end)
app:get("/no-fields", function() return "x", 200, "text/plain" end)
app:serve()

-- What a program may get wrong says so while the script loads, with its line.
local function wrong(...)
    local ok, why = pcall(...)
    assert(not ok)
    return why
end
local bad = router.new()
local mistakes = {
    wrong(function() bad:get("x", print) end),
    wrong(function() bad:get("/{a}/{a}", print) end),
    wrong(function() bad:get("/{a*}/b", print) end),
    wrong(function() bad:get("/a{b}", print) end),
    wrong(function() bad:get("/") end),
    wrong(function() app:route("PUT GET", "/", print) end),
    wrong(function() bad:route("get", "/", print) end),
    wrong(function() bad:route({"GET"}, "/", print) end),
    wrong(function() bad:route(" ", "/", print) end),
    wrong(function() bad:route("GET, POST", "/", print) end),
    wrong(function() bad:otherwise("x") end),
    wrong(function() bad:serve(5) end),
}
httpd.register_handler("/mistakes", function()
    httpd.write(nil, (table.concat(mistakes, "\n")
        :gsub("[^\n]-(router%.lua:%d+)", "%1")))
end)

-- One more, below a prefix, with an answer of its own for what it lacks.
router.new():get("/{id}", function(request) return request.params.id end)
    :otherwise(function(request) return "no " .. request.path, 404 end)
    :serve("/below")
