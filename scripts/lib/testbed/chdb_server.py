"""Run the embedded ClickHouse engine as a server: chdb_server.py LIBCHDB ARGUMENT...

The library's C entry point `query_stable(argc, argv)` is clickhouse-local. It must run on the main
thread, and it returns only when its query ends, which here is never.
"""

import ctypes
import os
import signal
import sys


def main():
    lib_path, arguments = sys.argv[1], sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # DEEPBIND: the library brings its own allocator and must not mix it with Python's.
    lib = ctypes.CDLL(lib_path, mode=os.RTLD_NOW | os.RTLD_DEEPBIND)
    argv = [b"clickhouse", *map(os.fsencode, arguments)]
    c_argv = (ctypes.c_char_p * (len(argv) + 1))(*argv, None)
    lib.query_stable.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    lib.query_stable.restype = ctypes.c_void_p
    lib.query_stable(len(argv), c_argv)
    print("the engine's query ended; the server stops", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
