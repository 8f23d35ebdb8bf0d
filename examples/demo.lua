-- The page that examples/quickstart.sh serves.  Everything on it comes from the
-- handlers below: the page, its style, script and icon, a stream of events and
-- two small functions for the script to call.

local page = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lhttpd is running</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="style.css">
<script src="script.js" defer></script>
</head>
<body>
<header>
<p class="brand"><img src="icon.svg" alt="" width="28" height="28"> lhttpd</p>
<h1>It works.</h1>
<p class="lead">A Lua handler wrote this page for you, over $protocol$tls.
Handlers may wait as long as they like: no thread waits with them.</p>
<p class="pills"><span>$protocol</span><span>$security</span><span>worker
$worker</span><span id="state">connecting</span></p>
</header>
<main>
<section class="wide">
<h2>Live from worker <b id="worker">$worker</b></h2>
<p>One handler, one coroutine, asleep between two events.</p>
<svg id="chart" viewBox="0 0 600 120" preserveAspectRatio="none" role="img"
 aria-label="Round trips of the last minute">
<polyline id="area"></polyline><polyline id="line"></polyline></svg>
<dl class="figures">
<div><dt>round trip</dt><dd id="trip">&ndash;</dd></div>
<div><dt>requests here</dt><dd id="requests">&ndash;</dd></div>
<div><dt>open streams</dt><dd id="streams">&ndash;</dd></div>
<div><dt>server time</dt><dd id="time">&ndash;</dd></div>
</dl>
</section>
<section>
<h2>Your request</h2>
<p>What the handler was told about it.</p>
<table>
$rows</table>
</section>
<section>
<h2>Send something</h2>
<p>The server reads it and writes it back, turned round.</p>
<form id="form" action="reverse" method="post">
<textarea id="text" name="text" rows="3" maxlength="2000"
 aria-label="Text to send">Nothing blocks here</textarea>
<button>Send</button>
</form>
<output id="answer" for="text"></output>
</section>
<section class="wide">
<h2>Your own handler</h2>
<p>Put this into <code>hello.lua</code>:</p>
<pre><code>httpd.register_handler("/", function(env, header)
    httpd.header { [":status"] = "200", ["content-type"] = "text/plain" }
    httpd.write(nil, "Hello, " .. env.CLIENT_ADDR .. "!\n")
end)</code></pre>
<p>and serve it:</p>
<pre><code>build/release/lhttpd -f -p 8080 -l / hello.lua</code></pre>
</section>
</main>
<footer>The source of this page is <code>$script</code>.</footer>
</body>
</html>
]]

local style = [[
:root {
  color-scheme: light dark;
  --page: #f5f7fb; --card: #fff; --text: #18212f; --soft: #5a6880;
  --edge: #dfe5ef; --accent: #1668dc; --accent-2: #0aa390; --code: #eef2f9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e131b; --card: #171e29; --text: #e6ecf5; --soft: #98a6bd;
    --edge: #283244; --accent: #6aa8ff; --accent-2: #38d6bd; --code: #0f151f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 0 clamp(1rem, 4vw, 3rem) 3rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header, main, footer { max-width: 62rem; margin: 0 auto; }
header { padding: clamp(2rem, 7vw, 5rem) 0 2rem; }
.brand {
  display: flex; gap: .6rem; align-items: center;
  margin: 0; font-weight: 650; letter-spacing: .01em;
}
h1 {
  margin: .4em 0 .2em; font-size: clamp(3rem, 11vw, 5.5rem);
  line-height: 1; letter-spacing: -.045em;
  background: linear-gradient(100deg, var(--accent), var(--accent-2));
  background-clip: text; -webkit-background-clip: text; color: transparent;
}
.lead { max-width: 38rem; font-size: 1.2rem; color: var(--soft); }
.pills { display: flex; flex-wrap: wrap; gap: .5rem; }
.pills span {
  padding: .15rem .8rem; border: 1px solid var(--edge); border-radius: 2rem;
  background: var(--card); font-size: .9rem;
}
#state::before {
  content: ""; display: inline-block; width: .55rem; height: .55rem;
  margin-right: .45rem; border-radius: 50%; background: var(--soft);
}
#state.live::before { background: #22b573; }
#state.lost::before { background: #e5484d; }
main {
  display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
}
section {
  padding: 1.5rem; border: 1px solid var(--edge); border-radius: 1rem;
  background: var(--card); min-width: 0;
}
.wide { grid-column: 1 / -1; }
h2 { margin: 0; font-size: 1.15rem; }
section > p { margin: .2rem 0 1rem; color: var(--soft); }
#chart { display: block; width: 100%; height: 7.5rem; }
#line {
  fill: none; stroke: var(--accent); stroke-width: 2;
  vector-effect: non-scaling-stroke; stroke-linejoin: round;
}
#area { fill: var(--accent); opacity: .12; stroke: none; }
.figures {
  display: grid; gap: 1rem; margin: 1rem 0 0;
  grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr));
}
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd {
  margin: 0; font-size: 1.5rem; font-weight: 600;
  font-variant-numeric: tabular-nums;
}
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th, td {
  padding: .4rem 0; border-top: 1px solid var(--edge);
  text-align: left; vertical-align: top;
}
th { padding-right: 1rem; color: var(--soft); font-weight: 500; }
td { overflow-wrap: anywhere; }
textarea, button {
  width: 100%; padding: .7rem .9rem; border-radius: .6rem; font: inherit;
}
textarea {
  border: 1px solid var(--edge); resize: vertical;
  background: var(--code); color: inherit;
}
button {
  margin-top: .6rem; border: 0; cursor: pointer; font-weight: 600;
  background: var(--accent); color: var(--card);
}
button:hover { filter: brightness(1.08); }
:focus-visible { outline: 2px solid var(--accent-2); outline-offset: 2px; }
output { display: block; margin-top: .8rem; overflow-wrap: anywhere; }
pre {
  margin: 0 0 1rem; padding: 1rem; border-radius: .6rem; overflow-x: auto;
  background: var(--code); font-size: .9rem; line-height: 1.5;
}
pre:last-child { margin-bottom: 0; }
footer { padding-top: 2rem; color: var(--soft); font-size: .9rem; }
]]

local script = [[
"use strict";
const $ = (id) => document.getElementById(id);
const trips = [];

function draw() {
    const top = Math.max(...trips, 1) * 1.2;
    const points = trips.map((ms, i) =>
        [600 - (trips.length - 1 - i) * 10, 118 - ms / top * 110]);
    const line = points.map((p) => p.join(",")).join(" ");
    $("line").setAttribute("points", line);
    $("area").setAttribute("points",
        `${points[0][0]},120 ${line} ${points.at(-1)[0]},120`);
}

async function measure() {
    const start = performance.now();
    const answer = await fetch("ping", { cache: "no-store" });
    await answer.text();
    const ms = performance.now() - start;
    trips.push(ms);
    if (trips.length > 61)
        trips.shift();
    $("trip").textContent = `${ms.toFixed(1)} ms`;
    draw();
}

function state(name, words) {
    $("state").className = name;
    $("state").textContent = words;
}

const events = new EventSource("events");
events.addEventListener("open", () => state("live", "live"));
events.addEventListener("error", () => state("lost", "not connected"));
events.addEventListener("tick", (event) => {
    const tick = JSON.parse(event.data);
    for (const name of ["worker", "requests", "streams", "time"])
        $(name).textContent = tick[name];
    measure().catch(() => state("lost", "not connected"));
});

$("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
        const answer = await fetch("reverse",
            { method: "POST",
              body: new URLSearchParams(new FormData($("form"))) });
        $("answer").textContent = await answer.text();
    } catch (error) {
        $("answer").textContent = "The server did not answer.";
    }
});
]]

local icon = [[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<defs><linearGradient id="g" x2="1" y2="1"><stop stop-color="#1668dc"/>
<stop offset="1" stop-color="#0aa390"/></linearGradient></defs>
<rect width="32" height="32" rx="8" fill="url(#g)"/>
<path d="M10 7v18h12" fill="none" stroke="#fff" stroke-width="4"
 stroke-linecap="round" stroke-linejoin="round"/>
<circle cx="21" cy="11" r="3.2" fill="#fff"/></svg>
]]

-- Of this worker alone: each has a VM, and so variables, of its own.
local requests, streams = 0, 0

-- Registers a handler and counts its requests.
local function handler(name, fn)
    httpd.register_handler(name, function(env, header)
        requests = requests + 1
        return fn(env, header)
    end)
end

local function start(kind, status)
    httpd.header {
        [":status"] = status or "200",
        ["content-type"] = kind .. "; charset=utf-8",
        ["cache-control"] = "no-store",
        ["x-content-type-options"] = "nosniff",
        ["content-security-policy"] = "default-src 'self'; img-src 'self'; " ..
            "base-uri 'none'; frame-ancestors 'none'",
    }
end

local function static(name, kind, body)
    handler(name, function()
        start(kind)
        httpd.write(nil, body)
    end)
end

local function rows(env, header)
    local shown = {
        { "method", env.REQUEST_METHOD },
        { "path", header[":path"] },
        { "host", header[":authority"] },
        { "from", env.CLIENT_ADDR .. " port " .. env.CLIENT_PORT },
        { "cipher", env.SSL_CIPHER },
        { "language", header["accept-language"] },
        { "browser", header["user-agent"] },
    }
    local out = {}

    for i = 1, 7 do
        local name, value = shown[i][1], shown[i][2]
        if value then
            out[#out + 1] = ("<tr><th>%s</th><td>%s</td></tr>\n"):format(name,
                httpd.escape_html(value))
        end
    end
    return table.concat(out)
end

handler("/", function(env, header)
    local values = {
        protocol = env.SERVER_PROTOCOL,
        tls = env.HTTPS and " and TLS" or "",
        security = env.HTTPS and (env.SSL_PROTOCOL or "TLS") or "not encrypted",
        worker = env.WORKER,
        script = httpd.escape_html(env.SCRIPT_FILENAME),
        rows = rows(env, header),
    }

    start("text/html")
    httpd.write(nil, (page:gsub("%$(%l+)", values)))
end)

static("/style.css", "text/css", style)
static("/script.js", "text/javascript", script)
static("/icon.svg", "image/svg+xml", icon)
static("/ping", "text/plain", "pong\n")

handler("/reverse", function(env)
    if env.REQUEST_METHOD ~= "POST" then
        return httpd.header { [":status"] = "405", allow = "POST" }
    end
    local text = httpd.query(httpd.read(nil, 16384)).text or ""
    local characters = {}
    -- By characters of UTF-8: an octet and those that continue it.
    for character in text:gmatch("[%z\1-\127\192-\255][\128-\191]*") do
        table.insert(characters, 1, character)
    end
    start("text/plain")
    httpd.write(nil, table.concat(characters))
end)

-- Until the client has gone or the server stops: write and sleep return nil.
local function send_ticks(worker)
    repeat
        local tick = ('{"worker":%d,"requests":%d,"streams":%d,"time":"%s"}')
            :format(worker, requests, streams, os.date("!%H:%M:%S"))
        local sent = httpd.write(nil, "event: tick\ndata: " .. tick .. "\n\n")
    until not sent or not httpd.sleep(1)
end

handler("/events", function(env)
    start("text/event-stream")
    streams = streams + 1
    send_ticks(env.WORKER)
    streams = streams - 1
end)

handler("/notfound", function()
    start("text/plain", "404")
    httpd.write(nil, "There is no such page here.\n")
end)
