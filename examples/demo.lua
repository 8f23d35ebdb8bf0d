-- The page that examples/quickstart.sh serves.  Everything on it comes from the
-- handlers below: the page, its style, script and icon, a stream of events, and what
-- its buttons do.  Nothing here holds up anything else; the chart shows it.

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
<div>
<p class="brand"><img src="icon.svg" alt="" width="28" height="28"> lhttpd</p>
<h1>It works.</h1>
</div>
<div>
<p class="lead">A Lua handler wrote this page for you, over $protocol$tls.
Handlers may wait as long as they like: no thread waits with them.</p>
<p class="pills"><span>$protocol</span><span>$security</span><span>worker
$worker</span><span id="state">connecting</span></p>
</div>
</header>
<main>
<section class="wide">
<h2>The last minute, told to every browser at once</h2>
<p class="legend"><span class="late">how late the server's clock ticks</span>
<span class="rate">messages to browsers and streams, a second</span></p>
<div id="frame"><svg id="chart" viewBox="0 0 960 200" preserveAspectRatio="none"
 role="img" aria-label="How late the server ticks, and messages a second">
<path id="grid" d="M0 50H960M0 100H960M0 150H960M0 199H960"></path>
<polygon id="area"></polygon><polyline id="rate"></polyline>
<polyline id="late"></polyline></svg>
<span id="top-late">40 ms</span><span id="top-rate"></span></div>
<dl class="figures">
<div><dt>late by</dt><dd id="now">&ndash;</dd></div>
<div><dt>your round trip</dt><dd id="trip">&ndash;</dd></div>
<div><dt>streams</dt><dd id="streams">&ndash;</dd></div>
<div><dt>connections</dt><dd id="connections">&ndash;</dd></div>
<div><dt>memory of all scripts</dt><dd id="memory">&ndash;</dd></div>
<div><dt>requests</dt><dd id="requests">&ndash;</dd></div>
</dl>
</section>
<section>
<h2>500 more streams</h2>
<p>Each is a coroutine that hears every message, for half a minute.</p>
<button id="open">Open 500 streams</button>
<output id="opened">&nbsp;</output>
</section>
<section>
<h2>A slow modem</h2>
<p>It takes 300 ms to answer, and the handler just waits for it.</p>
<button id="call">Call the 300 ms modem</button>
<output id="called">&nbsp;</output>
</section>
<section>
<h2>A large file</h2>
<p>It streams to the disk in small steps, and is removed again.</p>
<form id="form"><label class="button">Choose a file
<input type="file" id="file" name="file"></label></form>
<progress id="progress" value="0" max="1" aria-label="Progress"></progress>
<output id="uploaded">&nbsp;</output>
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
  margin: 0; padding: 0 clamp(1rem, 3vw, 2rem) 2rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header, main, footer { max-width: 72rem; margin: 0 auto; }
header {
  display: grid; gap: 0 3rem; align-items: end; padding: 2rem 0 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
}
.brand {
  display: flex; gap: .6rem; align-items: center;
  margin: 0; font-weight: 650; letter-spacing: .01em;
}
h1 {
  margin: .15em 0 0; font-size: clamp(3rem, 8vw, 5rem);
  line-height: 1.1; letter-spacing: -.045em;
  background: linear-gradient(100deg, var(--accent), var(--accent-2));
  background-clip: text; -webkit-background-clip: text; color: transparent;
}
.lead { margin: 0 0 .8rem; font-size: 1.1rem; color: var(--soft); }
.pills { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 .5rem; }
.pills span {
  padding: .1rem .8rem; border: 1px solid var(--edge); border-radius: 2rem;
  background: var(--card); font-size: .9rem;
}
#state::before {
  content: ""; display: inline-block; width: .55rem; height: .55rem;
  margin-right: .45rem; border-radius: 50%; background: var(--soft);
}
#state.live::before { background: #22b573; }
#state.lost::before { background: #e5484d; }
main {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr));
}
section {
  padding: 1.25rem 1.5rem; border: 1px solid var(--edge); border-radius: 1rem;
  background: var(--card); min-width: 0;
}
.wide { grid-column: 1 / -1; }
h2 { margin: 0; font-size: 1.15rem; }
section > p { margin: .2rem 0 .8rem; color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 0 1.5rem; font-size: .9rem; }
.legend span::before {
  content: ""; display: inline-block; width: 1.2rem; height: .25rem;
  margin-right: .5rem; border-radius: 1rem; vertical-align: middle;
  background: var(--accent);
}
.legend .rate::before { background: var(--accent-2); }
#frame { position: relative; font-size: .8rem; color: var(--soft); }
#frame span { position: absolute; top: -.1rem; line-height: 1; }
#top-late { left: 0; }
#top-rate { right: 0; }
#chart { display: block; width: 100%; height: 12.5rem; }
#grid { stroke: var(--edge); fill: none; vector-effect: non-scaling-stroke; }
#late, #rate {
  fill: none; stroke: var(--accent); stroke-width: 2.5;
  vector-effect: non-scaling-stroke; stroke-linejoin: round;
}
#rate { stroke: var(--accent-2); stroke-width: 1.5; }
#area { fill: var(--accent-2); opacity: .16; }
.figures {
  display: grid; gap: .5rem 1rem; margin: 1rem 0 0;
  grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
}
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd {
  margin: 0; font-size: 1.4rem; font-weight: 600;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
button, .button {
  display: block; width: 100%; padding: .6rem .9rem; border: 0;
  border-radius: .6rem; background: var(--accent); color: var(--card);
  font: inherit; font-weight: 600; text-align: center; cursor: pointer;
}
button:hover, .button:hover { filter: brightness(1.08); }
input[type=file] { position: absolute; width: 1px; height: 1px; opacity: 0; }
:focus-visible, .button:focus-within {
  outline: 2px solid var(--accent-2); outline-offset: 2px;
}
progress {
  display: block; width: 100%; height: .4rem; margin-top: .5rem;
  accent-color: var(--accent-2);
}
output {
  display: block; margin-top: .6rem; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums;
}
progress + output { margin-top: .2rem; }
pre {
  margin: 0 0 1rem; padding: 1rem; border-radius: .6rem; overflow-x: auto;
  background: var(--code); font-size: .9rem;
}
pre:last-child { margin-bottom: 0; }
footer { padding-top: 1.5rem; color: var(--soft); font-size: .9rem; }
]]

local script = [[
"use strict";
const $ = (id) => document.getElementById(id);
const KEPT = 240; // a minute
let samples = []; // [ms late, messages a second]

const megabytes = (n) => `${(n / 1e6).toFixed(1)} MB`;

// What there is of the last minute fills the chart.
function draw() {
    if (samples.length < 2) return;
    const top = Math.max(40, ...samples.map((s) => s[0] * 1.1));
    const most = Math.max(20, ...samples.map((s) => s[1] * 1.25));
    const points = (i, max) => samples.map((s, n) =>
        [n / (samples.length - 1) * 960, 198 - s[i] / max * 190]
            .map((x) => x.toFixed(1)).join(",")).join(" ");
    $("late").setAttribute("points", points(0, top));
    $("rate").setAttribute("points", points(1, most));
    $("area").setAttribute("points", `0,200 ${points(1, most)} 960,200`);
    $("top-late").textContent = `${Math.round(top)} ms`;
    $("top-rate").textContent = `${Math.round(most)} a second`;
}

function state(name, words) {
    $("state").className = name;
    $("state").textContent = words;
}

const events = new EventSource("events");
events.addEventListener("open", () => state("live", "live"));
events.addEventListener("error", () => state("lost", "not connected"));
events.addEventListener("past", (event) => {
    samples = event.data.split(" ").filter(Boolean)
        .map((pair) => pair.split(",").map(Number));
    draw();
});
events.addEventListener("tick", (event) => {
    const tick = JSON.parse(event.data);
    samples.push([tick.late, tick.rate]);
    samples = samples.slice(-KEPT);
    $("now").textContent = `${tick.late} ms`;
    $("streams").textContent = tick.streams;
    $("connections").textContent = tick.connections;
    $("memory").textContent = megabytes(tick.memory);
    $("requests").textContent = tick.requests;
    draw();
});

async function post(path) {
    const answer = await fetch(path, { method: "POST" });
    if (!answer.ok) throw new Error(`the server says ${answer.status}`);
    return answer.text();
}

setInterval(async () => {
    const start = performance.now();
    try {
        await (await fetch("ping", { cache: "no-store" })).text();
        const ms = performance.now() - start;
        $("trip").textContent = `${ms.toFixed(1)} ms`;
    } catch (error) {
        state("lost", "not connected");
    }
}, 1000);

function button(id, output, work) {
    $(id).addEventListener("click", async () => {
        try {
            $(output).textContent = await work();
        } catch (error) {
            $(output).textContent = `It failed: ${error.message}`;
        }
    });
}

button("open", "opened", () => post("streams"));

let calls = 0;
button("call", "called", async () => {
    calls++;
    $("called").textContent = `${calls} at once ...`;
    const start = performance.now();
    try {
        const text = await post("modem");
        return `${text} after ${Math.round(performance.now() - start)} ms`;
    } finally {
        calls--;
    }
});

$("file").addEventListener("change", () => {
    const request = new XMLHttpRequest(), start = performance.now();
    request.open("POST", "upload");
    request.upload.onprogress = ({ loaded, total }) => {
        $("progress").value = loaded / total;
        $("uploaded").textContent = `${megabytes(loaded)} of ${megabytes(total)}`;
    };
    request.onload = () => {
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        $("uploaded").textContent = request.status === 200
            ? `${request.responseText} in ${seconds} s`
            : `The server has refused it: ${request.status}`;
    };
    request.onerror = () => {
        $("uploaded").textContent = "The connection was lost.";
    };
    request.send(new FormData($("form")));
    $("form").reset();
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

-- --- what the server measures ---------------------------------------------------

local EVERY = 0.25 -- seconds
local KEPT = 240 -- samples, a minute

-- Of the one worker that ticks.
local past, last_ms = {}, nil

-- How late it is, and how many hear of it: for everybody who listens, and kept for those
-- who come later.
local function tick()
    local stats = httpd.stats()
    local now, streams = stats.uptime_ms, stats.channels.subscribers

    if last_ms then
        local late = math.max(0, now - last_ms - EVERY * 1000)
        local rate = streams / (now - last_ms) * 1000
        past[#past + 1] = ("%.0f,%.0f"):format(late, rate)
        if #past > KEPT then table.remove(past, 1) end
        httpd.shared.set("demo-past", table.concat(past, " "))
        httpd.publish("demo", ('{"late":%.0f,"rate":%.0f,"streams":%.0f,' ..
            '"connections":%.0f,"memory":%.0f,"requests":%.0f}'):format(late,
            rate, streams, stats.connections.open,
            stats.vms.memory_bytes, stats.protocols.http10 +
            stats.protocols.http11 + stats.protocols.http2))
    end
    last_ms = now
end

httpd.every(EVERY, tick)

-- --- the page -------------------------------------------------------------------

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
    httpd.register_handler(name, function()
        start(kind)
        httpd.write(nil, body)
    end)
end

httpd.register_handler("/", function(env)
    local values = {
        protocol = env.SERVER_PROTOCOL,
        tls = env.HTTPS and " and TLS" or "",
        security = env.HTTPS and (env.SSL_PROTOCOL or "TLS") or "not encrypted",
        worker = env.WORKER,
        script = httpd.escape_html(env.SCRIPT_FILENAME),
    }

    start("text/html")
    httpd.write(nil, (page:gsub("%$(%l+)", values)))
end)

static("/style.css", "text/css", style)
static("/script.js", "text/javascript", script)
static("/icon.svg", "image/svg+xml", icon)
static("/ping", "text/plain", "pong\n")

-- Until the client has gone or the server stops: write and read return nil.
httpd.register_handler("/events", function()
    local news = httpd.subscribe("demo")
    local name, data = "past", httpd.shared.get("demo-past") or ""

    start("text/event-stream")
    while data and httpd.write(nil, ("event: %s\ndata: %s\n\n"):format(name,
                                                                       data)) do
        name, data = "tick", httpd.read(news)
    end
end)

-- --- the buttons ----------------------------------------------------------------

-- A handler that takes POST alone.
local function action(name, fn)
    httpd.register_handler(name, function(env)
        if env.REQUEST_METHOD ~= "POST" then
            return httpd.header { [":status"] = "405", allow = "POST" }
        end
        local text, status = fn(env)
        start("text/plain", status)
        httpd.write(nil, text)
    end)
end

-- One of 500: hears what a browser would.
local function listen()
    local news = httpd.subscribe("demo")

    for _ = 1, 30 / EVERY do
        if not httpd.read(news, nil, 10) then return end
    end
end

action("/streams", function()
    for n = 1, 500 do
        if not httpd.spawn(listen) then
            return ("%d more, and that is enough for one worker"):format(n - 1)
        end
    end
    return "500 more: look at the line"
end)

-- The appliance has one (examples/appliance.c); elsewhere it is played.
action("/modem", function()
    if device then return device.modem("AT+CSQ") or "busy" end
    httpd.sleep(0.3)
    return "+CSQ: 17,0"
end)

-- To a file as far as this build and the disk have one; returns its length.
local function copy(part, f)
    local bytes = 0

    while true do
        local data, why, words = httpd.read(part, 65536)
        if not data then
            assert(not why, words or why)
            return bytes
        end
        if f then assert(httpd.write(f, data)) end
        bytes = bytes + #data
    end
end

action("/upload", function()
    local bytes = 0

    for part in httpd.multipart { part_bytes = 1e9, parts = 10 } do
        -- It has no name any more, so it goes with its handle.
        local f = io and io.tmpfile and httpd.open and io.tmpfile()
        bytes = bytes + copy(part, f)
        if f then f:close() end
    end
    return ("%.1f MB"):format(bytes / 1e6)
end)

httpd.register_handler("/notfound", function()
    start("text/plain", "404")
    httpd.write(nil, "There is no such page here.\n")
end)
