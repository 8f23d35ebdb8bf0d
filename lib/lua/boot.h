/* The Lua half of httpd, its other half is in api*.c: what suspends a handler,
 * and what wraps the libraries that a script has. */
#ifndef LH_LUA_BOOT_H
#define LH_LUA_BOOT_H

/*
 * boot.lua, a chunk "=httpd"; a NUL ends it.  Called with (httpd, begin
 * functions, tag, refused, env's constants, env's metatable); fills httpd,
 * replaces parts of coroutine, io and os and what is about garbage, returns the
 * function that makes env tables.
 */
extern const char lh_boot_source[];

#endif
