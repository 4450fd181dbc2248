"""Thawline: a folder of photos becomes a leaderboard, a report and a model that predicts.

>>> import thawline
>>> result = thawline.fit("photos/", out="runs/birds")  # doctest: +SKIP
>>> thawline.predict("runs/birds/model", "new/")  # doctest: +SKIP

`__init__.pyi` lists the public names; each is imported when it is first used, so `import thawline` stays light.
"""

from lazy_loader import attach_stub

from thawline.core.version import __version__ as __version__

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
