-- A form, a cookie and a redirect: visitors log in as "guest" with the password
-- "lhttpd".  Sessions are shared values, so that every worker knows them.
--
--     lhttpd -f -p 8080 -l / login.lua

local passwords = { guest = "lhttpd" } -- a real site stores hashes
local session_seconds = 3600

-- A token nobody can guess.  nil: it could not be kept.
local function open_session(user)
    local token = httpd.random(16):gsub(".", function(c)
        return ("%02x"):format(c:byte())
    end)

    return httpd.shared.add("session " .. token, user, session_seconds)
        and token
end

local function token_of(header)
    local cookies = "; " .. (header.cookie or "")

    return cookies:match("; session=(%x+)")
end

-- The name of who is logged in.
local function user_of(header)
    local token = token_of(header)

    return token and httpd.shared.get("session " .. token)
end

-- Scripts of the page cannot read the cookie, other sites' forms do not send
-- it, and over HTTPS it never travels in the clear.
local function cookie(env, token, seconds)
    return ("session=%s; Path=%s; Max-Age=%d; HttpOnly; SameSite=Lax%s"):format(
        token, env.SCRIPT_PREFIX, seconds, env.HTTPS and "; Secure" or "")
end

local function page(status, title, body)
    httpd.header {
        [":status"] = status,
        ["content-type"] = "text/html; charset=utf-8",
        ["cache-control"] = "no-store",
    }
    httpd.write(nil, ([[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s</title>
</head>
<body>
<h1>%s</h1>
%s
</body>
</html>
]]):format(title, title, body))
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

httpd.register_handler("/", function(_, header)
    local user = user_of(header)

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
    local user = fields.user or ""
    if not passwords[user] or passwords[user] ~= fields.password then
        return page("403", "That is not right", form)
    end
    local token = open_session(user)
    if not token then
        return page("503", "Please try again later", form)
    end
    go_home(cookie(env, token, session_seconds))
end)

httpd.register_handler("/logout", function(env, header)
    if env.REQUEST_METHOD == "POST" then
        httpd.shared.delete("session " .. (token_of(header) or ""))
    end
    go_home(cookie(env, "", 0))
end)
