"""What the workers of a running or dead server have at hand, for gdb.

    gdb -p PID -x test/gdb/lhttpd.py -ex lhttpd
    gdb build/dev/lhttpd core -x test/gdb/lhttpd.py -ex lhttpd

The command `lhttpd` shows, for each worker: its counters and queues, its
connections with their states, and the tasks of its VMs with their requests.
It needs debugging information of the library (-g), and only reads memory.
"""

import gdb

LIST_MAX = 1000  # of a list that is perhaps broken


def member_offset(struct, member):
    for field in gdb.lookup_type(struct).fields():
        if field.name == member:
            return field.bitpos // 8
    raise gdb.GdbError(f"{struct} has no member {member}")


def entries(head, struct, member):
    """The structs that a list has, whose link in them is `member`."""
    offset = member_offset(struct, member)
    pointer = gdb.lookup_type(struct).pointer()
    char = gdb.lookup_type("char").pointer()
    link = head["next"]
    for _ in range(LIST_MAX):
        if link == head.address:
            return
        yield (link.cast(char) - offset).cast(pointer).dereference()
        link = link["next"]
    print("    ... and more, or the list is broken")


def count(head):
    n = 0
    link = head["next"]
    while link != head.address and n < LIST_MAX:
        link = link["next"]
        n += 1
    return n


def text(s):
    """A struct lh_str."""
    n = min(int(s["n"]), 200)
    return s["p"].string("latin-1", length=n) if n else ""


def name(value, prefix):
    return str(value).replace(prefix, "")


def show_conn(c):
    peer = c["host"]["peer"].dereference()
    flags = [f for f in ("readable", "blocked", "bulk", "tail", "lingers",
                         "hung_up") if c[f]]
    linked = [q for q in ("fed", "dirty")
              if c[q]["next"] and c[q]["next"] != c[q].address]
    protocol = (c["protocol"]["name"].string() if c["protocol"] else "-")
    print(f"  c{int(peer['number'])} fd {int(c['fd'])} "
          f"{peer['client_addr'].string()}:{int(peer['client_port'])} "
          f"{name(c['state'], 'LH_CONN_')} {protocol} "
          f"eof {name(c['eof'], 'LH_')} fin {name(c['fin'], 'LH_')} "
          f"{' '.join(flags)} queues: {' '.join(linked) or 'none'}")


def show_task(task):
    ex = task["ex"]
    what = "no request any more"
    if ex:
        r = ex["request"]
        what = (f"c{int(ex['peer']['number'])} {text(r['method'])} "
                f"{text(r['target'])}")
    print(f"  task {int(task['slot'])} {name(task['state'], 'LH_TASK_')} "
          f"{what} (wait: {task['wait']})")


def show_worker(w):
    counters = w["ctx"]["counters"]
    print(f"worker {int(w['number'])}: connections {int(w['conns_n'])} of "
          f"{int(w['conns_max'])}, exchanges {int(counters['exchanges'])}, "
          f"tasks {int(counters['tasks'])}, operations "
          f"{int(counters['operations'])}; stopping {w['ctx']['stopping']}; "
          + ", ".join(f"{q} {count(w[q])}"
                      for q in ("fed", "dirty", "bulk", "ready_vms")))
    for list_name in "busy", "idle", "closed":
        for c in entries(w[list_name], "struct lh_conn", "all"):
            show_conn(c)
    for i in range(int(w["server"]["mappings"]["n"])):
        vm = w["vms"][i]
        if not vm:
            continue
        print(f" script {vm['name'].string() if vm['name'] else '(a factory)'}"
              f": tasks {int(vm['tasks_n'])}")
        for task in entries(vm["tasks"], "struct lh_task", "link"):
            show_task(task)


def workers():
    """By way of a thread that is one: its server has them all."""
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        frame = gdb.newest_frame()
        while frame:
            if frame.name() == "run_worker":
                w = frame.read_var("w")
                server = w["server"].dereference()
                for i in range(int(server["workers_n"])):
                    yield server["workers"][i]
                return
            frame = frame.older()
    raise gdb.GdbError("no thread of this process is a worker of lhttpd")


class Lhttpd(gdb.Command):
    """Shows the workers of lhttpd: connections, queues, tasks."""

    def __init__(self):
        super().__init__("lhttpd", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        before = gdb.selected_thread()
        for w in workers():
            show_worker(w)
        before.switch()


Lhttpd()
