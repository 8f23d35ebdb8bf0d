/* A C++ program with the library inside: it says where it serves, until the end
 * of its standard input. */
#include <lhttpd.h>

#include <cstring>
#include <iostream>

int main()
{
    const char *script = "httpd.register_handler('/', function()\n"
                         "    httpd.write(nil, 'Hello from C++.\\n')\n"
                         "end)\n";
    unsigned lines = 0;
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_server_t *server = nullptr;

    config.workers = 1;
    config.log_context = &lines;
    config.log = [](void *context, const lhttpd_log_entry_t *) {
        ++*static_cast<unsigned *>(context);
    };
    if (lhttpd_server_create(&server, &config) < 0 ||
        lhttpd_server_listen(server, "127.0.0.1", 0, 0) < 0 ||
        lhttpd_server_map_source(server, "/", "hello", script,
                                 std::strlen(script)) < 0 ||
        lhttpd_server_start(server) < 0) {
        std::cerr << lhttpd_server_error(server) << "\n";
        return 1;
    }
    std::cout << "http://127.0.0.1:" << lhttpd_server_port(server, 0) << "/"
              << std::endl;
    std::cin.get();
    lhttpd_server_destroy(server);
    return 0;
}
