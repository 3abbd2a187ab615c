"""Clones: areas of an image that are copies of one another (copy-move).

    evidence = clones.measure(image)
    evidence.clones[0].source_mask, evidence.clones[0].target_mask, evidence.clones[0].transform

Keypoints are matched within the image (`keypoints`), peaks of its autocorrelation show plain shifts
(`shifts`), and equal windows what was copied bit by bit (`exact`); what they suggest is verified pixel by
pixel (`verification`). Which of the two areas is the copy is weighed in `direction`. `measurement` puts these
steps together.
"""

from tamperscope.evidence.clones.measurement import NAME, Clone, CloneEvidence, measure

__all__ = ["NAME", "Clone", "CloneEvidence", "measure"]
