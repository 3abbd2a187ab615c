"""Requests generated from the OpenAPI document: every answer must be one that the document describes.

`make contract` runs more of them.
"""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="install the extra dev")

from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

from fakes import fake_app  # noqa: E402

# A request that is refused for its size (413) may be wrong in other ways as well.
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]
config = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
)
schema = schemathesis.openapi.from_wsgi("/openapi.json", fake_app(), config=config)


@schema.parametrize()
def test_every_answer_is_described(case):
    # By the document, a form with any bytes is valid, but most bytes are not an image.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])
