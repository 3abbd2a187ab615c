"""Draw `report.jpg`: the first two pages of the PDF report on the page's sample, made by the default model.

Needs `pdftoppm` (Debian's package `poppler-utils`), which renders the pages.
"""

import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import PIL.Image

from tamperscope import Detector
from tamperscope.documents import ReportDocument, render_pdf
from tamperscope.images import read_image

FOLDER = Path(__file__).parent
SAMPLE = FOLDER.parents[1] / "src" / "tamperscope" / "server" / "web" / "sample.jpg"
PAGES, DOTS_PER_INCH = 2, 84


def main() -> None:
    """Write the picture next to this file and print the verdict."""
    image = read_image(SAMPLE)
    report = Detector.load().analyze(image, all_evidence=True)
    document = ReportDocument.of(report, image.pixels, made_at=datetime.now(UTC))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "report.pdf").write_bytes(render_pdf(document))
        command = ["pdftoppm", "-r", str(DOTS_PER_INCH), "-l", str(PAGES), "-png", "report.pdf", "page"]
        subprocess.run(command, cwd=folder, check=True)
        pages = [np.asarray(PIL.Image.open(path)) for path in sorted(Path(folder).glob("page*.png"))]
    gap = np.full((pages[0].shape[0], 12, 3), 208, np.uint8)
    sheet = np.hstack([gap, *(part for page in pages for part in (page, gap))])
    PIL.Image.fromarray(sheet).save(FOLDER / "report.jpg", quality=86, optimize=True)
    print(report.verdict, round(report.score, 3), report.type, [region.box for region in report.regions])


if __name__ == "__main__":
    main()
