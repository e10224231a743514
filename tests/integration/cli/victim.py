"""A process to capture: memory of known content, changed on request.

Prints one line of JSON with the addresses, then obeys lines on stdin:

    poke NAME OFFSET BYTE   writes a byte
    map                     maps one more page and prints its address
    quit

Arguments: a file to map; KiB of memory of its own, a multiple of 64.
"""
import ctypes
import json
import mmap
import random
import sys

PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def address(m):
    return ctypes.addressof(ctypes.c_char.from_buffer(m))


def make(path, kib):
    random.seed(1)
    own = mmap.mmap(-1, kib * 1024, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for _ in range(0, kib, 64):
        own.write(random.randbytes(64 * 1024))
    shared = mmap.mmap(-1, 4 * PAGE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    shared.write(b"shared memory" * 100)
    zero = mmap.mmap(-1, 4 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    zero.write(bytes(4 * PAGE))
    none = mmap.mmap(-1, 2 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with open(path, "rb") as f:
        file = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE,
                         mmap.PROT_READ | mmap.PROT_WRITE)
    file[PAGE] = ord("!")  # its second page becomes its own
    maps = {"own": own, "shared": shared, "zero": zero, "none": none,
            "file": file}
    where = {name: address(m) for name, m in maps.items()}
    libc.mprotect(where["none"] + PAGE, PAGE, 0)
    return maps, where


def main():
    maps, where = make(sys.argv[1], int(sys.argv[2]))
    print(json.dumps(where), flush=True)
    more = []
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "poke":
            maps[rest[0]][int(rest[1])] = int(rest[2])
            print("ok", flush=True)
        elif word == "map":
            more.append(mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE |
                                  mmap.MAP_ANONYMOUS))
            more[-1].write(b"x" * PAGE)
            print(address(more[-1]), flush=True)
        elif word == "quit":
            return


main()
