"""Run ClickHouse out of a library: chdb_server.py ENTRY LIBRARY ARGUMENT...

ENTRY says how the library is entered:
  local            query_stable(argc, argv), which is clickhouse-local. Its query starts the listeners.
  server           the main function of clickhouse-server
  server-deepbind  the same, in a library that has to prefer its own symbols
  module           the library is a Python module and exports no function. ARGUMENTs are the data
                   folder and the query. clickhouse-local reads config.xml of the working directory.

All of them must run on the main thread, and return only when the server ends.
"""

import ctypes
import importlib.util
import os
import signal
import sys

LOCAL_MAIN = "query_stable"
SERVER_MAIN = "_Z25mainEntryClickHouseServeriPPc"
# Lazy: symbols of another Python version than the library was made for are never called.
SHARED = os.RTLD_LAZY
# The library brings its own allocator and must not mix it with Python's.
DEEPBIND = os.RTLD_NOW | os.RTLD_DEEPBIND


def call(library, flags, function, argv):
    main = ctypes.CDLL(library, mode=flags)[function]
    main.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    main.restype = ctypes.c_void_p if function == LOCAL_MAIN else ctypes.c_int
    return main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))


def query_module(library, data_dir, query):
    sys.setdlopenflags(DEEPBIND)
    spec = importlib.util.spec_from_file_location("_chdb", library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # The format becomes the server's default, so it is the one that a server has.
    module.query(query, "TabSeparated", path=data_dir)


def main():
    entry, library, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if entry.startswith("server"):
        argv = [b"clickhouse-server", *map(os.fsencode, arguments)]
        return call(library, DEEPBIND if entry == "server-deepbind" else SHARED, SERVER_MAIN, argv)
    if entry == "module":
        query_module(library, *arguments)
    else:
        call(library, DEEPBIND, LOCAL_MAIN, [b"clickhouse", *map(os.fsencode, arguments)])
    print("the engine's query ended; the server stops", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
