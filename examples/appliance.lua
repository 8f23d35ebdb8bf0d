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
<p>It has %.1f &deg;C and its lamp is %s.
<a href="power">What does it draw?</a> <a href="signal">Is there a network?</a></p>
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

-- The two that take their time: other requests are served meanwhile.
httpd.register_handler("/power", function()
    local watts, why = device.power()

    httpd.header { ["content-type"] = "text/plain" }
    httpd.write(nil, watts and ("%.1f W\n"):format(watts) or why .. "\n")
end)

httpd.register_handler("/signal", function()
    local answer, why = device.modem("AT+CSQ")

    -- The line is for one conversation at a time.
    while why == "busy" and httpd.sleep(0.05) do
        answer, why = device.modem("AT+CSQ")
    end
    httpd.header { ["content-type"] = "text/plain" }
    httpd.write(nil, (answer or why) .. "\n")
end)
