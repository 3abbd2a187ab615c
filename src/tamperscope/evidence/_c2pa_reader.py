"""Read Content Credentials in a separate process: `python _c2pa_reader.py MIME-TYPE < request > answer`.

The official library is native code and parses untrusted files. If it crashes, hangs or takes all memory, this
process ends and not the server. The module imports nothing from tamperscope, so that it starts quickly.

The request is the number of bytes of the trust anchors (PEM) on a line of its own, the anchors, and the
image. The answer is `{"store": ..., "pictures": ...}`, the manifest store as JSON and the previews of the
ingredients as base64 by their identifiers, or `{"error": ...}`, the library's name for what stopped it.
The answer is UTF-8 on every system.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

import c2pa

MEMORY = 2 * 2**30
"""Limit of the address space, in bytes."""
SECONDS = 10
"""Limit of processor time."""
LONGEST_ANSWER = 4 * 2**20
"""Limit of the JSON, in bytes, with the previews of the ingredients."""
MOST_PICTURES = 4
LARGEST_PICTURE = 2**19
"""Limit of each preview, in bytes."""

OFFLINE: dict[str, Any] = {
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
    anchors = sys.stdin.buffer.read(int(sys.stdin.buffer.readline())).decode("utf-8", "replace")
    image = io.BytesIO(sys.stdin.buffer.read())
    settings = {**OFFLINE, "trust": {"trust_anchors": anchors}} if anchors else OFFLINE
    try:
        with c2pa.Reader(sys.argv[1], image, context=c2pa.Context.from_dict(settings)) as reader:
            store = reader.json()
            answer = f'{{"store": {store}, "pictures": {json.dumps(_pictures(reader, store))}}}'
    except c2pa.C2paError as error:
        answer = json.dumps({"error": str(error)[:200]})
    # As text, it would have the code page of the system.
    written = answer.encode()
    if len(written) <= LONGEST_ANSWER:
        sys.stdout.buffer.write(written)


def _pictures(reader: c2pa.Reader, store: str) -> dict[str, str]:
    """Return the previews of the ingredients of the active manifest, as base64, by their identifiers."""
    pictures: dict[str, str] = {}
    try:
        document = json.loads(store)
        ingredients = document["manifests"][document["active_manifest"]].get("ingredients") or ()
        for ingredient in ingredients[:MOST_PICTURES]:
            identifier = (ingredient.get("thumbnail") or {}).get("identifier")
            picture = io.BytesIO()
            if identifier and reader.resource_to_stream(identifier, picture) <= LARGEST_PICTURE:
                pictures[identifier] = base64.b64encode(picture.getvalue()).decode("ascii")
    except (AttributeError, KeyError, TypeError, c2pa.C2paError):
        pass  # the record is told without them
    return pictures


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
