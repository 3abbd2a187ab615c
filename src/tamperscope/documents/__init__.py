"""Reports as files to share: self-contained HTML, and PDF.

    document = ReportDocument.of(report, image.pixels, made_at=datetime.now(UTC))
    Path("report.html").write_text(render_html(document), encoding="utf-8")
    Path("report.pdf").write_bytes(render_pdf(document))

Both contain what `ReportDocument` holds and nothing else. Equal documents produce equal bytes.
"""

from tamperscope.documents.document import ReportDocument, facts_of
from tamperscope.documents.html import render_html
from tamperscope.documents.pdf import render_pdf
from tamperscope.documents.pictures import Maps

__all__ = ["Maps", "ReportDocument", "facts_of", "render_html", "render_pdf"]
