/*
 * Opens the library while it runs, and knows its functions by their names only:
 * plugin liblhttpd.so.  It says where it serves, until the end of its standard
 * input.
 */
#include <lhttpd.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static void *library;

/* The function of this name, into a pointer of whatever type. */
static void find(const char *name, void *pointer)
{
    void *found = dlsym(library, name);

    if (!found)
        fprintf(stderr, "plugin: %s\n", dlerror());
    memcpy(pointer, &found, sizeof(found));
}

static const char script[] = "httpd.register_handler('/', function()\n"
                             "    httpd.write(nil, 'Hello, plugin.\\n')\n"
                             "end)\n";

int main(int argc, char *argv[])
{
    int (*create)(lhttpd_server_t **, const lhttpd_config_t *);
    int (*listen)(lhttpd_server_t *, const char *, int, unsigned);
    int (*map_source)(lhttpd_server_t *, const char *, const char *,
                      const void *, size_t);
    int (*start)(lhttpd_server_t *), (*port)(const lhttpd_server_t *, int);
    void (*struct_init)(void *, size_t), (*destroy)(lhttpd_server_t *);
    lhttpd_server_t *server;
    lhttpd_config_t config;

    library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "plugin: %s\n", dlerror());
        return 1;
    }
    find("lhttpd_struct_init", &struct_init);
    find("lhttpd_server_create", &create);
    find("lhttpd_server_listen", &listen);
    find("lhttpd_server_map_source", &map_source);
    find("lhttpd_server_start", &start);
    find("lhttpd_server_port", &port);
    find("lhttpd_server_destroy", &destroy);
    struct_init(&config, sizeof(config));
    config.workers = 1;
    if (create(&server, &config) < 0 || listen(server, "127.0.0.1", 0, 0) < 0 ||
        map_source(server, "/", "plugin", script, sizeof(script) - 1) < 0 ||
        start(server) < 0)
        return 1;
    printf("http://127.0.0.1:%d/\n", port(server, 0));
    fflush(stdout);
    getchar();
    destroy(server);
    return 0;
}
