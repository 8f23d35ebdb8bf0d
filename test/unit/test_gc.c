/* A VM's memory: finalizers, collections, limits. */
#include "lib/script.h"
#include "lua/compat.h"
#include "lua/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `lost(f)` makes garbage that has f for its finalizer, churn() enough of it
 * for the collector to go round a few times. */
#define PRELUDE                                                                \
    "local function lost(f)\n"                                                 \
    "  if not newproxy then return setmetatable({}, {__gc = f})\n"             \
    "  end\n"                                                                  \
    "  local p = newproxy(true)\n"                                             \
    "  getmetatable(p).__gc = f\n"                                             \
    "  return p\n"                                                             \
    "end\n"                                                                    \
    "local function churn()\n"                                                 \
    "  local s = 0\n"                                                          \
    "  for i = 1, 20000 do local t = {i} s = s + #t end\n"                     \
    "end\n"

static void start(struct test_script *s, const char *source)
{
    char text[8192];

    snprintf(text, sizeof(text), "%s%s", PRELUDE, source);
    test_script_start(s, text);
}

/* --- finalizers ----------------------------------------------------------- */

/* A finalizer runs in the middle of somebody else's request. */
static void finalizers_have_no_request(void **state)
{
    static const char source[] =
        "local n, wrong = 0, ''\n"
        "local f = io.tmpfile()\n"
        "local function check(name, ...)\n"
        "  local ok, a, why = pcall(httpd[name], ...)\n"
        "  if not ok or a ~= nil or why ~= 'not in a finalizer' then\n"
        "    wrong = wrong .. name .. ' ' .. tostring(a) .. '\\n' end\n"
        "end\n"
        "local function gc()\n"
        "  n = n + 1\n"
        "  check('write', nil, 'leaked') check('header', {status = 404})\n"
        "  check('trailer', {a = 'b'}) check('read', nil, 1)\n"
        "  check('flush') check('finish') check('sleep', 0) check('closed')\n"
        "  check('open', '/') check('sync', f) check('sendfile', f)\n"
        "  check('read', f, 1) check('write', f, 'x')\n"
        "  check('popen', {'true'}) check('close', f)\n"
        "  check('register_handler', '/late', print)\n"
        "  httpd.log('debug', 'a finalizer may log')\n"
        "end\n"
        "httpd.register_handler('/', function()\n"
        "  for i = 1, 20 do lost(gc) end churn() churn()\n"
        "  httpd.write(nil, 'mine') end)\n"
        "httpd.register_handler('/asked', function()\n"
        "  wrong = wrong:gsub('close [^\\n]*\\n', '')\n"
        "  for i = 1, 20 do lost(gc) end\n"
        "  collectgarbage() collectgarbage('step', 100000)\n"
        "  httpd.write(nil, 'too') end)\n"
        "httpd.register_handler('/n', function()\n"
        "  httpd.write(nil, n > 0 and wrong or n) n = 0 end)";
    struct test_script s;

    (void)state;
    start(&s, source);
    test_script_expect(&s, "/", 200, "mine");
    test_script_expect(&s, "/n", 200, "");
    test_script_expect(&s, "/asked", 200, "too");
    test_script_deinit(&s);
}

/* The string that a read makes may start the collector: its octets stay what
 * and where they are. */
static void a_finalizer_reads_the_body(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start(&s, "local again\n"
              "again = function() httpd.read(nil, 100) lost(again) end\n"
              "httpd.register_handler('/', function()\n"
              "  lost(again)\n"
              "  local n, wrong = 0, 0\n"
              "  while true do\n"
              "    local part = httpd.read(nil, 10)\n"
              "    if not part then break end\n"
              "    n = n + #part\n"
              "    if part ~= '0123456789' then wrong = wrong + 1 end\n"
              "  end\n"
              "  httpd.write(nil, n .. ' ' .. wrong) end)");
    l = test_script_request(&s, "POST", "/", NULL, true);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(test_loopback_body(l, "0123456789", 10), 10);
        if (i % 100 == 0)
            test_script_run(&s);
    }
    test_loopback_body_end(l);
    test_script_run(&s);
    assert_string_equal(l->body, "50000 0");
    test_script_deinit(&s);
}

/* An error of a finalizer is nobody's but the log's.  Compiled code is the
 * hardest place for it. */
static void finalizers_may_raise(void **state)
{
    static const char source[] =
        "local n, ffi = 0\n"
        "local function gc() n = n + 1 error('rai\\0sed') end\n"
        "if jit then ffi = require 'ffi'\n"
        "  ffi.cdef 'struct lost { int x; }' end\n"
        "local made = ffi and ffi.metatype('struct lost', {__gc = gc})\n"
        "httpd.register_handler('/', function()\n"
        "  for i = 1, 3 do\n"
        "    lost(gc)\n"
        "    if ffi then ffi.gc(ffi.new('int[1]'), gc) made() end\n"
        "    if debug.setmetatable and newproxy then\n"
        "      debug.setmetatable(newproxy(), {__gc = gc}) end\n"
        "    churn()\n"
        "  end\n"
        "  httpd.write(nil, 'fine') end)\n"
        "httpd.register_handler('/small', function()\n"
        "  lost(gc) httpd.write(nil, 'small') end)\n"
        "httpd.register_handler('/n', function()\n"
        "  httpd.write(nil, tostring(n > 100)) end)";
    struct test_script s;

    (void)state;
    start(&s, source);
    for (int i = 0; i < 50; i++) {
        test_script_expect(&s, "/", 200, "fine");
        for (int k = 0; k < 30; k++)
            test_script_expect(&s, "/small", 200, "small");
    }
    test_script_expect(&s, "/n", 200, "true");
#if !LH_LUA_54
    assert_non_null(strstr(s.t.last_log, "in a finalizer: test.lua:"));
    assert_non_null(strstr(s.t.last_log, "rai\\x00sed"));
#endif
    test_script_deinit(&s);
}

/* One that httpd's wrappers have not seen is known all the same. */
static void finalizers_put_in_behind_our_back(void **state)
{
    static const char source[] =
        "local n, wrong = 0, ''\n"
        "local function gc()\n"
        "  n = n + 1\n"
        "  local a, why = httpd.write(nil, 'leaked')\n"
        "  if a ~= nil or why ~= 'not in a finalizer' then\n"
        "    wrong = wrong .. tostring(a) end\n"
        "  if httpd.sleep(-1) or httpd.header(1) then wrong = 'raised' end\n"
        "end\n"
        "local function hidden()\n"
        "  if not newproxy then return setmetatable({}, {__gc = gc}) end\n"
        "  local p, q = newproxy(true), newproxy()\n"
        "  rawset(getmetatable(p), '__gc', gc)\n"
        "  local mt = {}\n"
        "  debug.setmetatable(q, mt)\n"
        "  mt.__gc = gc\n"
        "end\n"
        "httpd.register_handler('/', function()\n"
        "  for i = 1, 20 do hidden() end churn() churn()\n"
        "  httpd.write(nil, 'mine') end)\n"
        "httpd.register_handler('/n', function()\n"
        "  httpd.write(nil, n > 0 and wrong or 'none ran') end)";
    struct test_script s;

    (void)state;
    start(&s, source);
    for (int i = 0; i < 3; i++) {
        test_script_expect(&s, "/", 200, "mine");
        test_script_expect(&s, "/n", 200, "");
    }
    test_script_deinit(&s);
}

/* One that nobody could wrap ends what allocates where the collector lets it:
 * a request that has not begun is not to blame. */
static void raising_between_requests(void **state)
{
    struct test_script s;

    (void)state;
    start(&s, "local function gc() error('raised') end\n"
              "local mt = newproxy and getmetatable(newproxy(true))\n"
              "if mt then rawset(mt, '__gc', gc) end\n"
              "httpd.register_handler('/*', function(env, header)\n"
              "  if mt and env.PATH_INFO == 'make' then\n"
              "    collectgarbage('stop')\n"
              "    for i = 1, 20 do debug.setmetatable(newproxy(), nil)\n"
              "      local p = newproxy(true)\n"
              "      rawset(getmetatable(p), '__gc', gc) end\n"
              "    churn()\n"
              "    collectgarbage('restart')\n"
              "  end\n"
              "  httpd.write(nil, 'fine') end)");
    for (int i = 0; i < 100; i++) {
        test_script_expect(&s, "/make", 200, "fine");
        test_script_expect(&s, "/x", 200, "fine");
    }
    test_script_deinit(&s);
}

/* A collector that rests because the script says so is no finalizer. */
static void a_stopped_collector(void **state)
{
    struct test_script s;

    (void)state;
    start(&s, "httpd.register_handler('/', function()\n"
              "  collectgarbage('stop') collectgarbage()\n"
              "  httpd.write(nil, 'a') collectgarbage('restart')\n"
              "  httpd.write(nil, 'b') collectgarbage('stop') end)\n"
              "httpd.register_handler('/n', function()\n"
              "  httpd.write(nil, 'n' ..\n"
              "    select('#', collectgarbage('count'))) end)");
    for (int i = 0; i < 3; i++) {
        test_script_expect(&s, "/", 200, "ab");
        test_script_expect(&s, "/n", 200, "n1");
    }
    test_script_deinit(&s);
}

/* --- limits --------------------------------------------------------------- */

static void expect_failure(struct test_script *s, const char *target)
{
    struct test_loopback *l =
        test_script_request(s, "GET", target, NULL, false);

    test_script_run(s);
    assert_int_equal(l->status, 500);
    assert_non_null(strstr(s->t.last_log, "not enough memory"));
    test_script_done(s);
}

/* "fill" takes what there is, in pieces of `most` octets, then ever smaller
 * ones of `least`. */
#define FILLING(most, least)                                                   \
    "httpd.register_handler('/strings', function()\n"                          \
    "  local t = {}\n"                                                         \
    "  for i = 1, 300000 do t[i] = 'a' .. i end\n"                             \
    "  httpd.write(nil, 'made') end)\n"                                        \
    "httpd.register_handler('/fill', function()\n"                             \
    "  local t, n = {}, " most "\n"                                            \
    "  while true do\n"                                                        \
    "    local ok, x = pcall(string.rep, 'x', n - #t % 16)\n"                  \
    "    if ok then t[#t + 1] = x .. #t\n"                                     \
    "    elseif n > " least " then n = math.floor(n / 2)\n"                    \
    "    else error(x) end\n"                                                  \
    "  end end)\n"                                                             \
    "httpd.register_handler('/fine', function()\n"                             \
    "  httpd.write(nil, 'fine') end)\n"

/* The collector itself needs memory, to make its table of strings smaller. */
static void a_full_vm_recovers(void **state)
{
    struct test_script s;

    (void)state;
    test_script_init(&s);
    s.t.limits.vm_memory_bytes = 64 << 20;
    test_script_load(&s, "test.lua", FILLING("2 ^ 20", "64"));
    assert_int_equal(s.error, 0);
    for (int i = 0; i < 3; i++) {
        test_script_expect(&s, "/strings", 200, "made");
        expect_failure(&s, "/fill");
        test_script_expect(&s, "/fine", 200, "fine");
    }
    /* That was its own limit: the worker's other VMs have nothing to give. */
    assert_false(s.t.ctx.wants_collection);
    test_script_deinit(&s);
}

/* The system refuses memory, not the limit.  Some is left, as there mostly is:
 * the collector of 5.1 and LuaJIT may need it. */
static size_t system_bytes, system_max = SIZE_MAX;

static void *small_system(void *data, void *old, size_t old_n, size_t n)
{
    size_t before = old ? old_n : 0;
    void *p;

    (void)data;
    if (n > before && system_bytes + (n - before) > system_max)
        return NULL;
    p = n ? realloc(old, n) : NULL;
    if (n == 0)
        free(old);
    if (p || n == 0)
        system_bytes += n - before;
    return p;
}

static struct lua_State *create(void *context, unsigned worker)
{
    (void)context;
    (void)worker;
    return test_script_new_state(small_system);
}

/* Loads `source` into a state whose memory comes from the system above. */
static void start_in_a_system(struct test_script *s, const char *source)
{
    static lhttpd_vm_factory_t factory; /* the VM keeps its address */
    struct lh_vm_config config = {.name = "test.lua",
                                  .source = source,
                                  .source_bytes = strlen(source),
                                  .factory = &factory};

    system_bytes = 0;
    factory = lhttpd_vm_factory_init();
    factory.lua_version = LUA_VERSION_NUM;
    factory.create = create;
    test_script_init(s);
    test_script_load_as(s, &config);
    assert_int_equal(s->error, 0);
}

static void a_small_system(void **state)
{
    static const char source[] =
        "if jit then jit.off() end\n" FILLING("2 ^ 22", "2 ^ 22");
    struct test_script s;

    (void)state;
    start_in_a_system(&s, source);
    system_max = 64 << 20;
    for (int i = 0; i < 3; i++) {
        test_script_expect(&s, "/strings", 200, "made");
        s.t.ctx.wants_collection = false;
        expect_failure(&s, "/fill");
        assert_true(s.t.ctx.wants_collection); /* of all VMs of the worker */
        test_script_expect(&s, "/fine", 200, "fine");
    }
    system_max = SIZE_MAX;
    test_script_deinit(&s);
}

/* Not an octet is left: other threads may have taken what a request gave back.
 * One request at most fails for it. */
static void a_system_without_memory(void **state)
{
    static const char source[] =
        "if jit then jit.off() end\n" FILLING("2 ^ 16", "2 ^ 16");
    struct test_script s;

    (void)state;
    start_in_a_system(&s, source);
    for (int i = 0; i < 3; i++) {
        test_script_expect(&s, "/strings", 200, "made");
        system_max = system_bytes;
        test_script_request(&s, "GET", "/fine", NULL, false);
        test_script_run(&s);
        test_script_done(&s);
        test_script_expect(&s, "/fine", 200, "fine");
        system_max = SIZE_MAX;
    }
    test_script_deinit(&s);
}

/* With a limit nothing is compiled, see load.c. */
static void a_limited_vm_interprets(void **state)
{
    struct test_script s;

    (void)state;
    test_script_init(&s);
    s.t.limits.vm_memory_bytes = 8 << 20;
    test_script_load(&s, "test.lua",
                     "if jit then jit.on() end\n"
                     "httpd.register_handler('/', function()\n"
                     "  local t = {}\n"
                     "  for i = 1, 1e7 do t[i] = {i} end end)\n"
                     "httpd.register_handler('/fine', function()\n"
                     "  httpd.write(nil, tostring(jit and jit.status()))\n"
                     "end)");
    assert_int_equal(s.error, 0);
    for (int i = 0; i < 9; i++) {
        expect_failure(&s, "/");
        test_script_expect(&s, "/fine", 200, LH_LUA_JIT ? "false" : "nil");
    }
    test_script_deinit(&s);
}

/* --- what lack of memory leaves ------------------------------------------- */

static struct {
    lua_Alloc alloc;
    void *data;
    long at; /* this one from now on and the next, for 5.4 tries again, fail */
} heap;

static void *failing_alloc(void *unused, void *old, size_t old_n, size_t n)
{
    (void)unused;
    if (n > (old ? old_n : 0) && (--heap.at == 0 || heap.at == -1))
        return NULL;
    return heap.alloc(heap.data, old, old_n, n);
}

/* Open ones that are files of memory, which child processes read. */
static int texts(void)
{
    char path[64], to[64];
    int n = 0;

    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t got = readlink(path, to, sizeof(to) - 1);
        to[got < 0 ? 0 : got] = '\0';
        n += strncmp(to, "/memfd:text", 11) == 0;
    }
    return n;
}

static void a_process_that_does_not_start_leaves_nothing(void **state)
{
    struct test_script s;

    (void)state;
    start(&s, "httpd.register_handler('/', function()\n"
              "  httpd.popen({'true'}, {stdin = 'x'})\n"
              "end)\n");
    heap.alloc = lua_getallocf(s.vm->L, &heap.data);
    lua_setallocf(s.vm->L, failing_alloc, NULL);
    for (long at = 1; heap.at <= 0; at++) {
        heap.at = at;
        test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        test_script_done(&s);
        assert_int_equal(texts(), 0);
    }
    lua_setallocf(s.vm->L, heap.alloc, heap.data);
    test_script_deinit(&s);
}

/* LuaJIT's own code for some functions ended the process there. */
static void functions_survive_a_refusal(void **state)
{
    static const char *const calls[] = {
        "tostring(#h)",
        "tostring(#h + 0.5)",
        "string.upper('a' .. #h)",
        "('B' .. #h):lower()",
        "('c' .. #h):reverse()",
        "('d' .. #h):rep(3)",
        "string.char(65 + #h % 26, 66)",
        "('ef' .. #h):sub(1, 2)",
        "string.format('%d %s', #h, h)",
        "table.concat({#h, 'x'})",
        "tostring({})",
        "tostring(setmetatable({}, m))",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct test_script s;
        char source[1000];

        snprintf(source, sizeof(source),
                 "local m = {__tostring = function(t) return 'm' .. #t end}\n"
                 "local function add(h, c)\n"
                 "  h[#h + 1] = (%s .. ' '):rep(math.floor(c / 5))\n"
                 "end\n"
                 "httpd.register_handler('/', function()\n"
                 "  local h = {}\n"
                 "  for i = 1, 20 do pcall(add, h, 1000) end\n"
                 "  httpd.write(nil, 'x')\n"
                 "end)\n",
                 calls[i]);
        test_script_init(&s);
        s.t.limits.vm_memory_bytes = 1 << 30;
        test_script_load(&s, "test.lua", source);
        assert_int_equal(s.error, 0);
        heap.alloc = lua_getallocf(s.vm->L, &heap.data);
        lua_setallocf(s.vm->L, failing_alloc, NULL);
        heap.at = 0;
        for (long at = 1; heap.at <= 0; at++) {
            heap.at = at;
            test_script_request(&s, "GET", "/", NULL, false);
            test_script_run(&s);
            test_script_done(&s);
            lua_gc(s.vm->L, LUA_GCCOLLECT, 0);
        }
        lua_setallocf(s.vm->L, heap.alloc, heap.data);
        test_script_deinit(&s);
    }
}

/* They are as ever for those who call them. */
static void functions_called_from_c_look_the_same(void **state)
{
    struct test_script s;

    (void)state;
    test_script_init(&s);
    s.t.limits.vm_memory_bytes = 8 << 20;
    test_script_load(
        &s, "test.lua",
        "httpd.register_handler('/', function()\n"
        "  httpd.write(nil, ('%s %s %s %s %s %s'):format(tostring(12),\n"
        "    tostring(nil), tostring(true), ('aB'):upper(), ('aB'):lower(),\n"
        "    string.reverse('aB')))\n"
        "end)\n"
        "httpd.register_handler('/errors', function()\n"
        "  local _, a = pcall(function() return (string.upper({})) end)\n"
        "  local _, b = pcall(function() return (tostring()) end)\n"
        "  httpd.write(nil, a .. '; ' .. b)\n"
        "end)\n");
    assert_int_equal(s.error, 0);
    test_script_expect(&s, "/", 200, "12 nil true AB ab Ba");
    test_script_expect(
        &s, "/errors", 200,
        "test.lua:7: bad argument #1 to 'upper' (string expected, got table); "
        "test.lua:8: bad argument #1 to 'tostring' (value expected)");
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finalizers_have_no_request),
        cmocka_unit_test(a_finalizer_reads_the_body),
        cmocka_unit_test(finalizers_may_raise),
        cmocka_unit_test(raising_between_requests),
        cmocka_unit_test(a_stopped_collector),
        cmocka_unit_test(a_full_vm_recovers),
        cmocka_unit_test(a_small_system),
        cmocka_unit_test(a_system_without_memory),
        cmocka_unit_test(a_limited_vm_interprets),
        cmocka_unit_test(a_process_that_does_not_start_leaves_nothing),
        cmocka_unit_test(finalizers_put_in_behind_our_back),
        cmocka_unit_test(functions_survive_a_refusal),
        cmocka_unit_test(functions_called_from_c_look_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
