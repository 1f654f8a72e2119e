"""History and ratings: SQLite, with the artefacts as files beside it."""

from genarium.ledger.ledger import Entry, Ledger

__all__ = ["Entry", "Ledger"]
