-- The web interface of the device in appliance.c, which adds the table
-- `device` to this script's VM.  What the device does is published on the channel
-- "device", by the program and by this script: each page that is open shows it.

local style = require "style"

local page = style.page("Appliance", [[
<script src="script.js" defer></script>
]], [[
<h1>Appliance</h1>
<p>It has <b id="temperature">%.1f</b> &deg;C and its lamp is <b id="lamp">%s</b>.
<a href="power">What does it draw?</a> <a href="signal">Is there a network?</a></p>
<form method="post" action="lamp">
<button name="on" value="yes">Switch it on</button>
<button name="on" value="no">Switch it off</button>
</form>
]])

-- "temperature 20.3": where to show it, and what.
local script = [[
"use strict";
new EventSource("live").addEventListener("message", (event) => {
    const [where, what] = event.data.split(" ");
    document.getElementById(where).textContent = what;
});
]]

httpd.register_handler("/", function()
    httpd.header {
        ["content-type"] = "text/html; charset=utf-8",
        ["cache-control"] = "no-store",
    }
    httpd.write(nil, page:format(device.temperature(),
        device.lamp() and "on" or "off"))
end)

httpd.register_handler("/script.js", function()
    httpd.header { ["content-type"] = "text/javascript; charset=utf-8" }
    httpd.write(nil, script)
end)

-- Ends when the browser goes or the server stops: write or read returns nil.
httpd.register_handler("/live", function()
    local news = httpd.subscribe("device")
    local text = "lamp " .. (device.lamp() and "on" or "off")

    httpd.header {
        ["content-type"] = "text/event-stream",
        ["cache-control"] = "no-store",
    }
    while text and httpd.write(nil, "data: " .. text .. "\n\n") do
        text = httpd.read(news)
    end
end)

httpd.register_handler("/lamp", function(env)
    if env.REQUEST_METHOD ~= "POST" then
        return httpd.header { [":status"] = "405", allow = "POST" }
    end
    local form = httpd.query(httpd.read(nil, 100))
    if not form then return end
    local on = device.lamp(form.on == "yes")
    httpd.publish("device", "lamp " .. (on and "on" or "off"))
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

style.serve()
