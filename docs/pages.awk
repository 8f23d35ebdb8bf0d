# Writes the manual pages of the functions from the comments of lhttpd.h: one page
# for each section of the header that declares functions, under the name of its
# first one that is no initialiser, and a link to it for each of the others.
#
# Usage: awk -f docs/pages.awk -v out=DIRECTORY lhttpd.h
#
# A section begins with a line "/* --- title --- */".  In it stand comments, each
# followed by what it is about up to the next empty line: macros, a struct, an
# enum, or functions.  Lines of a comment that are indented by four are code.

/^\/\* --- / {
    end_section()
    title = $0
    gsub(/^\/\* --- | -+ \*\/$/, "", title)
    next
}
title == "" { next }
/^#(ifdef __cplusplus|endif)/ && !item { next }
/^}$/ && !item { next }
/^$/ && !in_body { end_item(); next }
/^{$/ { in_body = 1 }
/^}$/ { in_body = 0 }
!item && /^\/\*/ { in_comment = 1 }
{ item = 1 }
in_comment {
    add_comment($0)
    if (/\*\/$/) in_comment = 0
    next
}
{ code = code $0 "\n" }
END { end_section() }

# --- text ---

function escaped(s) {
    gsub(/\\/, "\\e", s)
    if (s ~ /^[.']/) s = "\\&" s
    return s
}

# A line of a comment without its frame; `words` are set in italics.
function add_comment(line,    end) {
    sub(/^\/\*[ \t]?/, "", line)
    sub(/^ \*\/?[ \t]?/, "", line)
    sub(/[ \t]*\*\/$/, "", line)
    if (line ~ /^    / && !in_list) {
        add_code(substr(line, 5))
        return
    }
    if (in_code && line == "") {
        empty_lines = empty_lines "\n"
        return
    }
    text = text close_code()
    line = escaped(line)
    while (match(line, /`[^`]*`/))
        line = substr(line, 1, RSTART - 1) "\\fI" \
            substr(line, RSTART + 1, RLENGTH - 2) "\\fP" \
            substr(line, RSTART + RLENGTH)
    if (line == "") {
        if (text != "") text = text close_list() ".Pp\n"
    } else if (line ~ /^- /) {
        if (!in_list) text = text ".Bl -dash -compact\n"
        in_list = 1
        text = text ".It\n" escaped(substr(line, 3)) "\n"
    } else {
        sub(/^ +/, "", line)
        text = text line "\n"
    }
}

# A line of an example keeps its place; empty ones belong to it if more follows.
function add_code(line) {
    if (!in_code) {
        sub(/\.Pp\n$/, "", text)
        text = text ".Bd -literal -offset indent\n"
    }
    in_code = 1
    text = text empty_lines escaped(line) "\n"
    empty_lines = ""
}

function close_code() {
    if (!in_code) return ""
    in_code = 0
    empty_lines = ""
    return ".Ed\n.Pp\n"
}

function close_list() {
    if (!in_list) return ""
    in_list = 0
    return ".El\n"
}

# --- items ---

function literal(s,    lines, n, i, all) {
    n = split(s, lines, "\n")
    for (i = 1; i < n; i++) all = all escaped(lines[i]) "\n"
    return ".Bd -literal\n" all ".Ed\n"
}

# The names of the functions that `code` declares; "" for none.
function names_of(code,    s, found, name) {
    s = code
    while (match(s, /lhttpd_[a-z0-9_]*\(/)) {
        name = substr(s, RSTART, RLENGTH - 1)
        if (!((name) in seen_here)) {
            seen_here[name] = 1
            found = found (found ? " " : "") name
        }
        s = substr(s, RSTART + RLENGTH)
    }
    return found
}

# Without the words that only compilers need, and without inline bodies.
function prototype(code) {
    sub(/^static inline /, "", code)
    if (code ~ /\n{/) {
        sub(/\n{.*/, "", code)
        code = code ";\n"
    }
    if (code ~ /^LHTTPD_API [a-z_ ]*\n/) sub(/^LHTTPD_API /, "", code)
    # What follows on further lines keeps its place below the first.
    if (sub(/^LHTTPD_API /, "", code)) gsub(/\n           /, "\n", code)
    return code
}

function end_item(    names, heading, is_function) {
    text = text close_code() close_list()
    sub(/(\.Pp\n)+$/, "", text)
    in_comment = 0
    if (code ~ /^static inline / && code ~ /\n}/ || code ~ /LHTTPD_API/) {
        is_function = 1
        # An inline function's body calls others: its own name is the first.
        names = names_of(code ~ /^static inline / ? prototype(code) : code)
        synopsis = synopsis literal(prototype(code))
        functions = functions (functions ? " " : "") names
        heading = names
        gsub(/ /, ", ", heading)
    } else if (match(code, /\n} lhttpd_[a-z_]*;/)) {
        heading = substr(code, RSTART + 3, RLENGTH - 4)
    } else if (match(code, /^typedef .*\(\*lhttpd_[a-z_]*/)) {
        heading = code
        sub(/^.*\(\*/, "", heading)
        sub(/\).*/, "", heading)
        gsub(/\n/, "", heading)
    }
    if (text != "" || (code != "" && !is_function)) {
        description = description (heading ? ".Ss " heading "\n" : ".Pp\n") text
        if (code != "" && !is_function) description = description literal(code)
    }
    text = code = ""
    item = 0
}

# --- pages ---

function end_section(    list, n, i, main, page) {
    if (title == "") return
    end_item()
    n = split(functions, list, " ")
    if (n) {
        for (main = 1; main < n && list[main] ~ /_init$/;) main++
        page = out "/" list[main] ".3"
        print ".Dd November 28, 2026\n.Dt " toupper(list[main]) " 3\n.Os\n.Sh NAME" >page
        for (i = 1; i <= n; i++)
            print ".Nm " list[i] (i < n ? " ," : "") >page
        print ".Nd " title " (liblhttpd)\n.Sh SYNOPSIS\n.In lhttpd.h" >page
        printf "%s.Sh DESCRIPTION\n%s", synopsis, description >page
        print ".Sh SEE ALSO\n.Xr liblhttpd 3 ,\n.Xr lhttpd 8" >page
        close(page)
        for (i = 1; i <= n; i++) {
            if (i == main) continue
            print ".so man3/" list[main] ".3" >(out "/" list[i] ".3")
            close(out "/" list[i] ".3")
        }
    }
    functions = synopsis = description = ""
    for (i in seen_here) delete seen_here[i]
}
