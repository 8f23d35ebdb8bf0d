-- What the server does: a page that refreshes itself, JSON, and the text that
-- Prometheus reads.
--
--     lhttpd -f -p 8080 -l /status status.lua
--     curl http://127.0.0.1:8080/status/metrics
--
-- Everybody who can reach it can read it: map it where only you can.

local style = require "style"

local function answer(content_type, text)
    httpd.header { ["content-type"] = content_type,
                   ["cache-control"] = "no-store" }
    httpd.write(nil, text)
end

-- --- JSON ---------------------------------------------------------------------

local function quote(text)
    return '"' .. text:gsub('[%c"\\]', function(c)
        return ("\\u%04x"):format(c:byte())
    end) .. '"'
end

local function json(value)
    if type(value) == "string" then return quote(value) end
    if type(value) ~= "table" then return ("%.0f"):format(value) end
    local parts = {}
    if value.sum_us then -- a histogram: its counts are a list beside the sum
        return ('{"sum_us":%.0f,"counts":[%s]}'):format(value.sum_us,
            table.concat(value, ","))
    end
    if value[1] or next(value) == nil then
        for i, item in ipairs(value) do parts[i] = json(item) end
        return "[" .. table.concat(parts, ",") .. "]"
    end
    for name, item in pairs(value) do
        parts[#parts + 1] = quote(name) .. ":" .. json(item)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
end

-- --- Prometheus, text format 0.0.4 --------------------------------------------

-- Which groups of httpd.stats() are what there is now; all others only grow.
local gauges = { connections = true, tasks = true }
local single_gauges = {
    workers_count = true, workers_stuck = true, workers_present_turn_ms = true,
    workers_longest_turn_ms = true, vms_count = true, vms_memory_bytes = true,
    vms_memory_limit = true, files_pending = true, files_by_uring = true,
    files_by_threads = true, requests_open = true, channels_open = true,
    channels_subscribers = true, shared_values = true, shared_bytes = true,
    sockets_open = true,
}

local function label(text)
    return '"' .. text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"',
                                         ["\n"] = "\\n" }) .. '"'
end

local function add(out, format, ...)
    out[#out + 1] = format:format(...)
end

local function metric(out, name, value, gauge)
    name = "lhttpd_" .. name .. (gauge and "" or "_total")
    add(out, "# TYPE %s %s\n", name, gauge and "gauge" or "counter")
    add(out, "%s %.0f\n", name, value)
end

local function histogram(out, name, labels, latency)
    local sum = 0
    local comma = labels == "" and "" or ","

    for i = 1, #latency - 1 do
        sum = sum + latency[i]
        add(out, '%s_bucket{%s%sle="%.6f"} %.0f\n', name, labels, comma,
            2 ^ (i - 1) / 1e6, sum)
    end
    sum = sum + latency[#latency]
    add(out, '%s_bucket{%s%sle="+Inf"} %.0f\n', name, labels, comma, sum)
    add(out, "%s_sum{%s} %.6f\n", name, labels, latency.sum_us / 1e6)
    add(out, "%s_count{%s} %.0f\n", name, labels, sum)
end

local function prometheus(stats)
    local out, groups = {}, {}

    metric(out, "uptime_ms", stats.uptime_ms, true)
    metric(out, "children", stats.children, true)
    for group in pairs(stats) do groups[#groups + 1] = group end
    table.sort(groups)
    for _, group in ipairs(groups) do
        if type(stats[group]) == "table" and group ~= "handlers" then
            for name, value in pairs(stats[group]) do
                local full = group .. "_" .. name
                if type(value) == "number" then
                    metric(out, full, value,
                           gauges[group] or single_gauges[full])
                end
            end
        end
    end
    for _, kind in ipairs { "head", "whole" } do
        local name = "lhttpd_request_" .. kind .. "_seconds"
        add(out, "# TYPE %s histogram\n", name)
        histogram(out, name, "", stats.requests[kind])
        name = "lhttpd_handler_" .. kind .. "_seconds"
        add(out, "# TYPE %s histogram\n", name)
        for _, h in ipairs(stats.handlers) do
            histogram(out, name, ("prefix=%s,handler=%s"):format(
                label(h.prefix), label(h.name)), h[kind])
        end
    end
    return table.concat(out)
end

-- --- the page -----------------------------------------------------------------

local page = style.page("Status", [[
<meta http-equiv="refresh" content="5">
<style>
body { max-width: 64rem; }
main { display: grid; gap: 1rem;
       grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
section { border: 1px solid var(--edge); border-radius: .6rem; padding: 1rem;
          background: var(--card); }
section h2 { margin-top: 0; }
table { width: 100%%; }
th, td { padding-right: 0; }
td { text-align: right; font-variant-numeric: tabular-nums; }
th + th { text-align: right; }
</style>
]], [[
<h1>Status</h1>
<p>up for %s, <a href="json">JSON</a>, <a href="metrics">Prometheus</a></p>
<main>
%s</main>
<h2>Handlers</h2>
<section><table>
<tr><th>handler</th><th>requests</th><th>mean ms</th></tr>
%s</table></section>
]])

local function section(title, values)
    local names, rows = {}, {}

    for name, value in pairs(values) do
        if type(value) == "number" then names[#names + 1] = name end
    end
    table.sort(names)
    for i, name in ipairs(names) do
        rows[i] = ("<tr><th>%s</th><td>%.0f</td></tr>"):format(
            name:gsub("_", " "), values[name])
    end
    return ("<section><h2>%s</h2><table>%s</table></section>\n"):format(title,
        table.concat(rows))
end

local function html(stats)
    local sections, rows = {}, {}

    for _, group in ipairs { "requests", "connections", "workers", "octets",
                             "tasks", "vms", "tls", "files", "refused" } do
        sections[#sections + 1] = section(group, stats[group])
    end
    for i, h in ipairs(stats.handlers) do
        local n = 0
        for _, count in ipairs(h.whole) do n = n + count end
        rows[i] = ("<tr><th>%s%s</th><td>%.0f</td><td>%.3f</td></tr>\n"):format(
            httpd.escape_html(h.prefix == "/" and "" or h.prefix),
            httpd.escape_html(h.name), n,
            n > 0 and h.whole.sum_us / n / 1000 or 0)
    end
    return page:format(("%.0f s"):format(stats.uptime_ms / 1000),
                       table.concat(sections), table.concat(rows))
end

local function send_json()
    answer("application/json", json(httpd.stats()) .. "\n")
end

local function send_metrics()
    answer("text/plain; version=0.0.4; charset=utf-8", prometheus(httpd.stats()))
end

httpd.register_handler("/json", send_json)
httpd.register_handler("/metrics", send_metrics)
httpd.register_handler("/", function(_, header)
    local accept = header.accept or ""

    if accept:find("application/json", 1, true) then return send_json() end
    if accept:find("version=0.0.4", 1, true) then return send_metrics() end
    answer("text/html; charset=utf-8", html(httpd.stats()))
end)

style.serve()
