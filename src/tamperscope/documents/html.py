"""A report as one self-contained HTML file: no scripts, no network requests, fit for printing."""

from __future__ import annotations

import base64
import functools

import jinja2
from markupsafe import Markup

from tamperscope.documents.document import ReportDocument
from tamperscope.documents.pictures import EncodedPicture
from tamperscope.languages import direction, number, say, speaking
from tamperscope.report import printed_score


def render_html(document: ReportDocument) -> str:
    """Return the HTML of a document. Equal documents produce equal text.

    The page contains its own Content-Security-Policy, which forbids scripts and requests. It is therefore
    safe to open from anywhere, whatever the metadata of a hostile image contains.
    """
    with speaking(document.language):
        return _template().render(document=document)


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tamperscope.documents"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printed_score"] = printed_score
    environment.filters["data_uri"] = _data_uri
    environment.filters["direction"] = direction
    environment.filters["number"] = number
    environment.globals["say"] = say
    return environment.get_template("report.html")


def _data_uri(picture: EncodedPicture) -> Markup:
    encoded = base64.b64encode(picture.data).decode("ascii")
    return Markup("data:{};base64,{}").format(picture.media_type, Markup(encoded))  # noqa: S704
