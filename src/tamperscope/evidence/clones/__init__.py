"""Clones: regions of an image that are copies of one another (copy-move).

    evidence = clones.measure(image)
    evidence.clones[0].source_mask, evidence.clones[0].target_mask, evidence.clones[0].transform

Three searches propose repetitions. `keypoints` matches keypoints within the image, `shifts` finds plain
shifts as peaks of its autocorrelation, and `exact` finds windows that are equal bit by bit. `verification`
verifies the proposals pixel by pixel. `direction` weighs which of the two regions is the copy. `measurement`
combines these steps.
"""

from tamperscope.evidence.clones.measurement import NAME, Clone, CloneEvidence, measure, weigh

__all__ = ["NAME", "Clone", "CloneEvidence", "measure", "weigh"]
