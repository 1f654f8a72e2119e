"""History and ratings: SQLite, with the artefacts as files beside it."""

from genarium.ledger.entry import Entry
from genarium.ledger.ledger import Ledger

__all__ = ["Entry", "Ledger"]
