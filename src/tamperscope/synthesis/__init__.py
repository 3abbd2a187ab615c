"""Make forgeries from authentic photos, each with its mask, type and recipe.

    library = PhotoLibrary.open(Path("photos"), object_masks=Path("object_masks"))
    forgery = forge(library, np.random.default_rng(7), size=256)
    forgery.pixels, forgery.mask, forgery.type, forgery.recipe

Needs the extra `train`: pip install 'tamperscope[train]'.
"""

from tamperscope.synthesis.forgery import Forgery, Mix, forge, stream
from tamperscope.synthesis.photos import PhotoLibrary

__all__ = ["Forgery", "Mix", "PhotoLibrary", "forge", "stream"]
