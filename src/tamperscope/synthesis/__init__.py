"""Forgeries made from authentic photos, with mask, type and recipe. Needs the extra `train`.

library = PhotoLibrary.open(Path("photos"), object_masks=Path("object_masks"))
forgery = forge(library, np.random.default_rng(7), size=256)
forgery.pixels, forgery.mask, forgery.type, forgery.recipe
"""

from tamperscope.synthesis.forgery import Forgery, Mix, forge, stream
from tamperscope.synthesis.photos import PhotoLibrary

__all__ = ["Forgery", "Mix", "PhotoLibrary", "forge", "stream"]
