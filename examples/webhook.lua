-- Tells another service what happens here: each message is posted to it as JSON,
-- signed, beside the handler, and again later where it is not taken.
--
--     HOOK=http://127.0.0.1:9000/hook SECRET=s3cret lhttpd -f -p 8080 -l / webhook.lua
--     curl -d 'the door is open' http://127.0.0.1:8080/tell
--     curl http://127.0.0.1:8080/

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
package.path = here .. "../share/lhttpd/?.lua;" .. -- of the sources
    here .. "../../../lhttpd/?.lua;" .. -- where both are installed
    "/usr/share/lhttpd/?.lua;/usr/local/share/lhttpd/?.lua;" .. package.path
local fetch = require "fetch"

local hook = os.getenv("HOOK") or "http://127.0.0.1:9000/hook"
local secret = os.getenv("SECRET") or "s3cret"
local waits = {1, 5, 25} -- seconds from one attempt to the next

local function hex(octets)
    return (octets:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function json_string(text)
    return '"' .. text:gsub('[%c"\\]', function(c)
        return ("\\u%04x"):format(c:byte())
    end) .. '"'
end

-- True, or nil and why not.
local function deliver(body)
    local answer, why = fetch(hook, {method = "POST", body = body, timeout = 10,
        fields = {["content-type"] = "application/json",
                  ["x-signature"] = "sha256=" .. hex(httpd.hmac(secret, body))}})
    if not answer then return nil, why end
    if answer.status >= 200 and answer.status < 300 then return true end
    return nil, "status " .. answer.status
end

-- What became of it is for all workers to see.
local function note(id, text)
    httpd.shared.set("delivery " .. id, text, 3600)
end

local function deliver_with_patience(id, body)
    for attempt = 1, #waits + 1 do
        local ok, why = deliver(body)
        if ok then return note(id, "delivered") end
        note(id, "attempt " .. attempt .. ": " .. why)
        httpd.log("notice", "webhook", id .. ":", why)
        local wait = waits[attempt]
        if not wait or not httpd.sleep(wait) then return note(id, "given up") end
    end
end

httpd.register_handler("/tell", function(_, header)
    if header[":method"] ~= "POST" then
        return httpd.header{[":status"] = "405", allow = "POST"}
    end
    local text = httpd.read(nil, "a")
    if not text then return httpd.header{[":status"] = "413"} end
    local id = httpd.shared.incr("deliveries", 1, 0)
    local body = ('{"id": %d, "text": %s}'):format(id, json_string(text))
    note(id, "under way")
    if not httpd.spawn(deliver_with_patience, id, body) then
        return httpd.header{[":status"] = "503", ["retry-after"] = "10"}
    end
    httpd.header{[":status"] = "202", ["content-type"] = "text/plain"}
    httpd.write(nil, "delivery " .. id .. "\n")
end)

httpd.register_handler("/", function()
    httpd.header{["content-type"] = "text/plain; charset=utf-8"}
    local keys = httpd.shared.keys("delivery ") or {}
    table.sort(keys)
    for _, key in ipairs(keys) do
        httpd.write(nil, key .. ": " .. (httpd.shared.get(key) or "") .. "\n")
    end
end)
