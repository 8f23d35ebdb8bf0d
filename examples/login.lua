-- A form, a cookie and a redirect: visitors log in as "guest" with the password
-- "lhttpd".  Who it is and until when stands in the cookie, with a signature by a
-- key that all workers share: what a visitor changes there is not believed.
--
--     lhttpd -f -p 8080 -l / login.lua

local style = require "style"
local passwords = { guest = "lhttpd" } -- a real site stores hashes
local session_seconds = 3600

-- Whoever comes first makes the key; it lives as long as the server.
httpd.shared.add("login key", httpd.base64(httpd.random(32)))
local key = httpd.shared.get("login key")

local function signature(text)
    return httpd.base64(httpd.hmac(key, text), "url")
end

-- "guest.1700000000.signature".
local function ticket(user)
    local text = httpd.base64(user, "url") .. "." .. os.time() + session_seconds

    return text .. "." .. signature(text)
end

-- The name of who is logged in, and the ticket.
local function user_of()
    local found = httpd.cookies().session or ""
    local text, user, ends, signed =
        found:match("^(([%w_-]+)%.(%d+))%.([%w_-]+)$")

    if text and httpd.equal(signed, signature(text)) and
        tonumber(ends) > os.time() and not httpd.shared.get("out " .. found) then
        return httpd.unbase64(user), found
    end
end

-- Scripts of the page cannot read the cookie, other sites' forms do not send
-- it, and over HTTPS it never travels in the clear.
local function cookie(env, value, seconds)
    return httpd.cookie("session", value, {
        path = env.SCRIPT_PREFIX,
        max_age = seconds,
        http_only = true,
        same_site = "lax",
        secure = env.HTTPS == "on",
    })
end

local function page(status, title, body)
    httpd.header {
        [":status"] = status,
        ["content-type"] = "text/html; charset=utf-8",
        ["cache-control"] = "no-store",
    }
    body = "<h1>" .. title .. "</h1>\n" .. body .. "\n"
    httpd.write(nil, style.page(title, "", body))
end

-- 303: whatever the method was, the next page is fetched by GET.
local function go_home(set_cookie)
    httpd.header {
        [":status"] = "303",
        location = "./",
        ["set-cookie"] = set_cookie,
    }
end

local form = [[
<form method="post" action="login">
<p><label>Name <input name="user" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password"
   autocomplete="current-password"></label></p>
<p><button>Log in</button></p>
</form>
<p>Try <code>guest</code> with <code>lhttpd</code>.</p>]]

httpd.register_handler("/", function()
    local user = user_of()

    if not user then
        page("200", "Who are you?", form)
        return
    end
    page("200", "Hello, " .. httpd.escape_html(user),
        '<form method="post" action="logout"><button>Log out</button></form>')
end)

httpd.register_handler("/login", function(env)
    if env.REQUEST_METHOD ~= "POST" then
        return go_home()
    end
    local fields = httpd.query(httpd.read(nil, 4096))
    if not fields then return end
    local user = fields.user or ""
    local password = passwords[user]
    if not password or not httpd.equal(password, fields.password or "") then
        return page("403", "That is not right", form)
    end
    go_home(cookie(env, ticket(user), session_seconds))
end)

-- A copy of the ticket is worth nothing from here on.
httpd.register_handler("/logout", function(env)
    local user, found = user_of()
    if user and env.REQUEST_METHOD == "POST" then
        httpd.shared.set("out " .. found, true, session_seconds)
    end
    go_home(cookie(env, "", 0))
end)

style.serve()
