"""What the views share: reading forms, flags and page sizes, and writing answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from flask import Request, Response
from pydantic import BaseModel, Field, ValidationError, WithJsonSchema
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import BadRequest, NotFound, RequestEntityTooLarge, UnsupportedMediaType

from tamperscope.api import Answer
from tamperscope.errors import EmptyImageError, ImageTooLargeError, TemporaryFolderError
from tamperscope.server.openapi import Parameter

FIELD = "image"
_LARGEST_JSON = 2**16
"""Bytes."""

_Found = TypeVar("_Found")
_Model = TypeVar("_Model", bound=BaseModel)

_MOST_LISTED = 100
_USUALLY_LISTED = 20

LIMIT = Parameter(
    "limit",
    f"Maximum number of entries to list; the default is {_USUALLY_LISTED}.",
    {"type": "integer", "minimum": 1, "maximum": _MOST_LISTED},
)
AFTER = Parameter("after", "List only the entries after this id.", {"type": "string"})


ANALYSIS_ID = Parameter(
    "id", "Id of the analysis.", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, place="path"
)


class ImageForm(BaseModel):
    """The form of every analysis."""

    image: Annotated[
        bytes,
        WithJsonSchema(
            {
                "type": "string",
                "format": "binary",
                "description": "A JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF file.",
            }
        ),
    ]


class CompareForm(ImageForm):
    """The form of a comparison."""

    other: Annotated[
        bytes,
        WithJsonSchema(
            {"type": "string", "format": "binary", "description": "The other version of the picture."}
        ),
    ]


class AnalysisForm(ImageForm):
    """The form of an analysis that is stored."""

    keep: Annotated[
        bool,
        Field(description="Keep the image too, for the overlay and the reports. Also accepted in the query."),
    ] = False
    private: Annotated[
        bool,
        Field(
            description="Make an analysis that no list contains, and that is deleted after a day. Cannot be "
            "combined with `keep`. Also accepted in the query."
        ),
    ] = False


class JobForm(BaseModel):
    """The form of a job: either images or an archive."""

    image: Annotated[
        list[bytes],
        WithJsonSchema(
            {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "The images, each in a field of this name.",
            }
        ),
    ] = []
    archive: Annotated[
        bytes | None,
        WithJsonSchema(
            {
                "type": "string",
                "format": "binary",
                "description": "A zip archive of images, in place of `image`.",
            }
        ),
    ] = None
    keep: Annotated[
        bool, Field(description="Keep the images with their analyses. Also accepted in the query.")
    ] = False
    webhook: Annotated[
        str,
        Field(description="A URL that is notified when the job has ended, as a Standard Webhooks message."),
    ] = ""
    webhook_secret: Annotated[
        str,
        Field(description="The key that signs the webhook: whsec_ and the base64 of 24 to 64 random bytes."),
    ] = ""


def uploaded_image(request: Request, field: str = FIELD) -> bytes:
    """Return the bytes of the form field `image`, or of another one, ignoring file name and declared type.

    Raises `BadRequest` when the request has a different form, `EmptyImageError` when the field is empty, and
    `ImageTooLargeError` when the request exceeds the server's limit.
    """
    files, texts = form_of(request)
    if field not in files:
        if field in texts:
            raise BadRequest(f"The form field {field!r} holds text, but it must hold a file.")
        # A part without a name has None.
        names: list[str | None] = [*files, *texts]
        found = ", ".join(repr((name or "")[:40]) for name in names[:5]) or "no field at all"
        raise BadRequest(f"The form has no file in the field {field!r}; found: {found}.")
    if len(files.getlist(field)) > 1:
        raise BadRequest(
            f"The form has several files in the field {field!r}; send one, or all of them as a job: "
            "POST /v1/jobs."
        )
    data: bytes = files[field].read()
    if not data:
        raise EmptyImageError("The file is empty.")
    return data


def form_of(request: Request) -> tuple[MultiDict[str, FileStorage], MultiDict[str, str]]:
    """Return the files and the text fields of a form.

    Raises `BadRequest` when the request is not a form, `ImageTooLargeError` when it exceeds the server's
    limit, and `TemporaryFolderError` when the temporary folder is full.
    """
    if request.mimetype != "multipart/form-data":
        found = repr(request.mimetype[:80]) if request.mimetype else "nothing"
        raise BadRequest(
            f"Send a form (multipart/form-data) with the image as a file in the field {FIELD!r}; "
            f"this request declares {found}."
        )
    if not request.mimetype_params.get("boundary"):
        raise BadRequest(
            "The header Content-Type declares a form without its boundary; let your HTTP library write this "
            "header."
        )
    try:
        # The form's files are copied to temporary files here.
        return request.files, request.form
    except RequestEntityTooLarge:
        raise ImageTooLargeError("The request is larger than this server accepts.") from None
    except OSError:
        raise TemporaryFolderError("The server has no room for this upload; try again later.") from None


def json_body(request: Request, model: type[_Model], largest: int = _LARGEST_JSON) -> _Model:
    """Return the JSON body of a request, which has at most `largest` bytes.

    Raises `BadRequest` when it does not fit `model` or contains a NUL character, which PostgreSQL does not
    accept, and `RequestEntityTooLarge` or `UnsupportedMediaType`.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send a JSON object with Content-Type: application/json.")
    request.max_content_length = largest
    data = request.get_data()
    try:
        body = model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "The body"
        raise BadRequest(f"{place}: {first['msg']}.") from None
    # JSON allows NUL only as this escape. An escaped backslash before the same letters is not one.
    if rb"\u0000" in data.replace(rb"\\", b""):
        raise BadRequest("The body must not contain a NUL character.")
    return body


FLAG = {"anyOf": [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}]}
"""The values that `flag` accepts, as JSON Schema."""


def flag(name: str, *places: str | None) -> bool:
    """Return the flag that a client set: the first value in `places` that is not None, else False.

    Raises `BadRequest` when any of the values is not a flag.
    """
    given = [text for text in places if text is not None]
    if any(text not in ("true", "false", "1", "0") for text in given):
        raise BadRequest(f"`{name}` must be true or false.")
    return bool(given) and given[0] in ("true", "1")


def client_disconnected(request: Request) -> Callable[[], bool]:
    """Return a function that tells whether the client of a request has disconnected."""
    disconnected: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    return disconnected


def page_size(text: str | None) -> int:
    """Return the `limit` that a client gave, or the default; raises `BadRequest` when it is out of range."""
    if text is None:
        return _USUALLY_LISTED
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= _MOST_LISTED):
        raise BadRequest(f"`limit` must be a whole number from 1 to {_MOST_LISTED}.")
    return int(text)


def respond(answer: Answer, status: int = 200, content_type: str = "application/json") -> Response:
    """Return an answer as a JSON response."""
    return Response(answer.model_dump_json(), status, content_type=content_type)


def or_404(found: _Found | None, kind: str) -> _Found:
    """Return `found`; raises `NotFound`, with the possible reasons, when it is None."""
    if found is None:
        raise NotFound(
            f"There is no such {kind}: it was deleted, has expired, belongs to another key, or never existed."
        )
    return found
