"""A client for a tamperscope server.

    from tamperscope_client import Client

    with Client("http://127.0.0.1:5000") as client:
        client.classify("photo.jpg").verdict

`tamperscope.client` of the distribution `tamperscope` is the same client.
"""

from tamperscope_client._version import __version__
from tamperscope_client.client import AsyncClient, Case, Client, Feedback, Image, Picture
from tamperscope_client.errors import RefusedError, TamperscopeError, UnreachableError

__all__ = [
    "AsyncClient",
    "Case",
    "Client",
    "Feedback",
    "Image",
    "Picture",
    "RefusedError",
    "TamperscopeError",
    "UnreachableError",
    "__version__",
]
