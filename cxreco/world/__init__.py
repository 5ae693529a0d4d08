"""A simulated shop whose truth is known, to prove an engine on: a world, not a mirror of one.

Customers have hidden needs that run down, knowledge, forgetfulness, taste, trust, tolerance and fatigue; they answer
decisions from these alone. It speaks the public contract only (events, items, decisions in and out), in process or over
HTTP alike, and is not tuned to any engine: its numbers are fixed in `spec`, each with its reason.
"""

from cxreco.world.ledger import Entry, Ledger, Posting
from cxreco.world.simulation import World
from cxreco.world.spec import WORLDS, Costs, WorldSpec

__all__ = ["WORLDS", "Costs", "Entry", "Ledger", "Posting", "World", "WorldSpec"]
