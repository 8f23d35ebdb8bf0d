-- What the pages of the examples share: a small style sheet, an icon, and what stands
-- around a page's body.  A script beside it says
--
--     local style = require "style"
--     local page = style.page("Title", "", "<h1>Title</h1>\n")
--     style.serve()

local icon = [[<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#1668dc"/>
<path d="M10 7v18h12" fill="none" stroke="#fff" stroke-width="4"
stroke-linecap="round" stroke-linejoin="round"/>
<circle cx="21" cy="11" r="3.2" fill="#fff"/></svg>]]

local css = [[
:root {
  color-scheme: light dark;
  --page: #f5f7fb; --card: #fff; --text: #18212f; --soft: #5a6880;
  --edge: #dfe5ef; --accent: #1668dc; --on: #fff; --good: #0a8f7e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e131b; --card: #171e29; --text: #e6ecf5; --soft: #98a6bd;
    --edge: #283244; --accent: #6aa8ff; --on: #0e131b; --good: #38d6bd;
  }
}
* { box-sizing: border-box; }
body {
  max-width: 46rem; margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2rem);
  background: var(--page); color: var(--text);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0 0 .6em; font-size: 2rem; line-height: 1.2; letter-spacing: -.02em; }
* + h1 { margin-top: 1.2em; }
h2 { margin: 1.2em 0 .4em; font-size: 1.15rem; }
p { color: var(--soft); }
b, code, label { color: var(--text); }
a { color: var(--accent); }
input, textarea, button {
  padding: .5rem .9rem; border: 1px solid var(--edge); border-radius: .6rem;
  background: var(--card); color: inherit; font: inherit;
}
button {
  border-color: transparent; background: var(--accent); color: var(--on);
  font-weight: 600; cursor: pointer;
}
button[type=button] {
  border-color: var(--edge); background: var(--card); color: var(--accent);
}
::file-selector-button {
  margin-right: .9rem; padding: .2rem .7rem; border: 1px solid var(--edge);
  border-radius: .4rem; background: var(--page); color: inherit; font: inherit;
}
.row, .row label { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.row label, .row input { flex: 1; min-width: 12rem; }
p > label, p > label > input { display: block; }
p > label > input { width: 100%; max-width: 22rem; }
:focus-visible { outline: 2px solid var(--good); outline-offset: 2px; }
table { border-collapse: collapse; }
th, td {
  padding: .3rem 1rem .3rem 0; border-top: 1px solid var(--edge);
  text-align: left; vertical-align: top; overflow-wrap: anywhere;
}
th { color: var(--soft); font-weight: 500; white-space: nowrap; }
ul { margin: 1rem 0; padding: 0; list-style: none; }
li { padding: .4rem 0; border-top: 1px solid var(--edge); }
pre, li { overflow-wrap: anywhere; }
pre { padding: 1rem; border-radius: .6rem; background: var(--card); }
pre:empty { display: none; }
output { color: var(--soft); }
progress { width: 100%; accent-color: var(--accent); }
]]

local style = {
    css = css,
    icon = icon,
    -- The icon is in the page itself, so that nobody asks for it.
    head = ([[<link rel="icon" href="data:image/svg+xml;base64,%s">
<link rel="stylesheet" href="style.css">]]):format(httpd.base64(icon)),
}

-- The whole page: `head` is what its head has besides, `body` ends with a newline.
function style.page(title, head, body)
    return table.concat {
        [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>]], title, "</title>\n", style.head, "\n", head, [[
</head>
<body>
]], body, "</body>\n</html>\n",
    }
end

function style.serve()
    httpd.register_handler("/style.css", function()
        httpd.header {
            ["content-type"] = "text/css; charset=utf-8",
            ["cache-control"] = "max-age=3600",
        }
        httpd.write(nil, css)
    end)
end

return style
