"""Content Credentials (C2PA specification 2): the signer, the declarations, and whether they still hold.

    evidence = provenance.measure(image)
    evidence.details["state"], evidence.details["signer"], evidence.details["actions"]

The official library reads and validates them, offline and in a separate process (`_c2pa_reader`).
"""

from tamperscope.evidence.provenance.credentials import Action, Credentials, State, read_store
from tamperscope.evidence.provenance.measurement import NAME, claims, measure
from tamperscope.evidence.provenance.reading import NO_TRUST_LIST, TrustList, read

__all__ = [
    "NAME",
    "NO_TRUST_LIST",
    "Action",
    "Credentials",
    "State",
    "TrustList",
    "claims",
    "measure",
    "read",
    "read_store",
]
