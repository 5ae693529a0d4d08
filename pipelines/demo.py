"""Demo: the whole loop on one command, on the simulated shop or on a real shop's log."""

from pathlib import Path

from rich.console import Console

from cxreco.edge.settings import Settings


def run(settings: Settings, *, data: Path | None, seed: int, console: Console) -> int:
    """Run the simulated shop, or, with a file, the same engine on that shop's own log."""
    if data is None:
        from cxreco.pipelines.demo_world import run as simulated

        return simulated(settings, seed=seed, console=console)
    from cxreco.pipelines.demo_shop import run as real

    return real(settings, data, console)
