from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc reports its heaps")
def test_threads_share_heaps() -> None:
    found = subprocess.run([sys.executable, "-c", ALLOCATING], capture_output=True, text=True, check=True)
    assert 1 <= found.stdout.count("<heap nr=") <= 2
    alone = ALLOCATING.replace("lifecycle.share_heaps()", "")
    found = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=True)
    assert found.stdout.count("<heap nr=") > 2
