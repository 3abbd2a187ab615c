"""Read Content Credentials in a separate process: `python _c2pa_reader.py MIME-TYPE < image > manifests`.

The official library is native code and parses untrusted files. If it crashes, hangs or takes all memory, this
process ends and not the server. The module imports nothing from tamperscope, so that it starts quickly. It
prints the manifest store as JSON, or nothing if the library cannot read one.
"""

from __future__ import annotations

import io
import sys

import c2pa

MEMORY = 2 * 2**30
"""Limit of the address space, in bytes."""
SECONDS = 10
"""Limit of processor time."""
LONGEST_ANSWER = 4 * 2**20
"""Limit of the JSON, in bytes. It does not contain the pictures of a manifest."""

OFFLINE = {
    "verify": {
        "verify_trust": True,
        "verify_timestamp_trust": False,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
}


def main() -> None:
    """Read one image from standard input and print its manifest store."""
    _limit_resources()
    image = io.BytesIO(sys.stdin.buffer.read())
    try:
        with c2pa.Reader(sys.argv[1], image, context=c2pa.Context.from_dict(OFFLINE)) as reader:
            answer = reader.json()
    except c2pa.C2paError:
        return
    if len(answer) <= LONGEST_ANSWER:
        sys.stdout.write(answer)


def _limit_resources() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
