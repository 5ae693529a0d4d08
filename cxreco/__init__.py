"""The decision engine for shops that serve the same customers again and again.

The story, in folders: `recognise` what we know of a customer, `request` what could be done for them, `respond` with one
thing and its probability, `repeat` with what it taught. `edge` is the hands, `world` a simulated shop to prove it on.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        # Reading the installed metadata takes longer than the rest of this module, so only who asks for it waits.
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("cxreco")
