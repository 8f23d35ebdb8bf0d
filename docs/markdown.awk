# Writes a document as a manual page: headings, paragraphs, lists, tables and code
# of the Markdown that this directory uses.
#
# Usage: awk -f docs/markdown.awk -v name=NAME -v section=N FILE.md
#
# The first heading becomes what the page is about, "NAME - the heading".

function escape(s) {
    gsub(/\\/, "\\e", s)
    gsub(/µ/, "u", s) # of µs; terminals of every kind have it
    return s
}

function code_text(s) {
    s = escape(s)
    gsub(/-/, "\\-", s)
    return s
}

# Code, strong words and links of a paragraph; all of a link that is printed is
# its text.
function inline(s,    n, i, piece, out, link, strong) {
    while (match(s, /\[[^][]*\]\([^)]*\)/)) {
        link = substr(s, RSTART + 1, RLENGTH - 1)
        sub(/\]\([^)]*\)$/, "", link)
        s = substr(s, 1, RSTART - 1) link substr(s, RSTART + RLENGTH)
    }
    n = split(s, piece, "`")
    for (i = 1; i <= n; i++) {
        if (i % 2 == 0) {
            out = out "\\fB" code_text(piece[i]) (strong ? "" : "\\fR")
            continue
        }
        piece[i] = escape(piece[i])
        while (sub(/\*\*/, strong ? "\\fR" : "\\fB", piece[i])) strong = !strong
        out = out piece[i]
    }
    return out
}

# A line that is not to be taken for a request.
function put(s) {
    print (s ~ /^[.']/ ? "\\&" : "") s
}

function flush() {
    if (text != "") put(inline(text))
    text = ""
}

function begin(macro) {
    flush()
    print macro
}

function heading(macro, s) {
    flush()
    s = inline(s)
    gsub(/\\f[BR]/, "", s)
    gsub(/"/, "\\(dq", s)
    print macro " \"" s "\""
    fresh = 1
    listed = 0
}

# The first cell names what the others say.
function row(s,    n, i, cell, rest) {
    gsub(/^\| *| *\|$/, "", s)
    gsub(/\\\|/, SUBSEP, s)
    n = split(s, cell, / *\| */)
    for (i = 2; i <= n; i++)
        if (cell[i] != "") rest = rest (rest == "" ? "" : "; ") cell[i]
    gsub(SUBSEP, "|", cell[1])
    gsub(SUBSEP, "|", rest)
    begin(".TP")
    put(inline(cell[1]))
    put(rest == "" ? "\\&" : inline(rest))
}

/^```/ {
    if (!in_code) {
        begin(listed ? ".IP" : ".PP")
        print ".EX"
    } else {
        print ".EE"
        if (!listed) print ".PP"
        fresh = 1
    }
    in_code = !in_code
    next
}
in_code { put(code_text($0)); next }

/^# / {
    title = substr($0, 3)
    printf ".TH %s %s\n", toupper(name), section
    print ".SH NAME"
    print name " \\- " tolower(substr(title, 1, 1)) substr(title, 2)
    print ".SH DESCRIPTION"
    fresh = 1
    next
}
/^## / { heading(".SH", substr($0, 4)); next }
/^### / { heading(".SS", substr($0, 5)); next }

/^\|[ :|-]+\|$/ { next } # below the head of a table
/^\|/ {
    if (!in_table) { in_table = 1; next } # its head
    row($0)
    next
}
in_table { in_table = 0; print ".PP"; fresh = 1 }

/^$/ { flush(); fresh_line = 1; next }

/^ *(-|[0-9]+\.) / {
    flush()
    mark = $0
    sub(/^ */, "", mark)
    if (mark ~ /^-/) print ".IP \\(bu 2"
    else print ".IP " substr(mark, 1, index(mark, " ") - 1) " 4"
    sub(/^(-|[0-9]+\.) +/, "", mark)
    text = mark
    listed = 1
    fresh_line = fresh = 0
    next
}

{
    line = $0
    sub(/^ +/, "", line)
    if (fresh_line && !/^ /) listed = 0
    if (fresh_line && !fresh) print listed ? ".IP" : ".PP"
    fresh_line = fresh = 0
    text = text (text == "" ? "" : " ") line
}
END { flush() }
