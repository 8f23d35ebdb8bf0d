-- The web interface of the device in appliance.c, which adds the table
-- `device` to this script's VM.

local page = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Appliance</title>
</head>
<body>
<h1>Appliance</h1>
<p>It has %.1f &deg;C and its lamp is %s.</p>
<form method="post" action="lamp">
<button name="on" value="%s">Switch it %s</button>
</form>
</body>
</html>
]]

httpd.register_handler("/", function()
    local on = device.lamp()

    httpd.header {
        ["content-type"] = "text/html; charset=utf-8",
        ["cache-control"] = "no-store",
    }
    httpd.write(nil, page:format(device.temperature(), on and "on" or "off",
        on and "no" or "yes", on and "off" or "on"))
end)

httpd.register_handler("/lamp", function(env)
    if env.REQUEST_METHOD ~= "POST" then
        return httpd.header { [":status"] = "405", allow = "POST" }
    end
    device.lamp(httpd.query(httpd.read(nil, 100)).on == "yes")
    httpd.header { [":status"] = "303", location = "./" }
end)
