"""How each layer type is drawn: from the blobs that are there to a layer's bottoms, tops and fields.

A file for each family of layers; every file of the folder is imported. A proposal mostly fits its bottoms; where it
does not, the layer has to be refused (see ``draw.py``).
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.random_nets.proposals.sketch import PROPOSALS, Proposal, Sketch

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["PROPOSALS", "Proposal", "Sketch"]
