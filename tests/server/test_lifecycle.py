from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tamperscope.server import lifecycle

# Eight live threads allocate, then the C library reports its heaps.
ALLOCATING = """
import ctypes, threading
from tamperscope.server import lifecycle

lifecycle.share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
all_here = threading.Barrier(9)

def allocate():
    libc.malloc(1000)
    all_here.wait()

threads = [threading.Thread(target=allocate, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
all_here.wait()
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""

# What a server does when too many analyses hang, or its loop fails: it stops waiting. The argument says
# whether everything then ends in time.
UNABLE_TO_GO_ON = """
import sys
from types import SimpleNamespace
from tamperscope.server import lifecycle

running = SimpleNamespace(wait=lambda: None, stop=lambda: sys.argv[1] == "ends", reload=None)
lifecycle.run(lambda: running, print, "Goodbye.")
"""


@pytest.mark.parametrize(("rest", "cut_off"), [("hangs", True), ("ends", False)])
def test_a_process_that_cannot_go_on_ends_with_an_error_for_its_supervisor(rest: str, cut_off: bool) -> None:
    ended = subprocess.run([sys.executable, "-c", UNABLE_TO_GO_ON, rest], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ("cut off" in ended.stderr) == cut_off


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc reports its heaps")
def test_threads_share_heaps() -> None:
    found = subprocess.run([sys.executable, "-c", ALLOCATING], capture_output=True, text=True, check=True)
    assert 1 <= found.stdout.count("<heap nr=") <= 2
    alone = ALLOCATING.replace("lifecycle.share_heaps()", "")
    found = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=True)
    assert found.stdout.count("<heap nr=") > 2


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_freed_memory_goes_back_to_the_system() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(ctypes.c_size_t(64_000)) for _ in range(1000)]
    for block in blocks:
        ctypes.memset(block, 1, 64_000)
    # What is still in use behind them holds them in the heap.
    last = blocks.pop()
    for block in blocks:
        library.free(block)
    before = resident_bytes()

    lifecycle.return_free_memory()

    assert before - resident_bytes() > 30_000_000
    library.free(last)
