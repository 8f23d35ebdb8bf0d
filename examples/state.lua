-- A variable of a script lives as long as its VM, and every worker thread has
-- a VM of its own: this counts the requests of the worker that answers.  With
-- -w 1 there is one worker, which counts them all.
--
--     lhttpd -f -p 8080 -w 1 -l / state.lua

local requests = 0

httpd.register_handler("/", function(env)
    requests = requests + 1
    httpd.header {
        [":status"] = "200",
        ["content-type"] = "text/plain",
        ["cache-control"] = "no-store",
    }
    httpd.write(nil, ("worker %d, request %d\n"):format(env.WORKER, requests))
end)
