"""What real tools answered, as data, and the phrases that they were asked by."""

from collections.abc import Callable
from typing import Any

from extendctl import phrasebook, questions
from extendctl.host import Deed, Question


def phrase_of(name: str) -> Callable[..., Question[Any] | Deed]:
    """A phrase by its name, from whichever of the two books has it."""
    book = phrasebook if hasattr(phrasebook, name) else questions
    found: Callable[..., Question[Any] | Deed] = getattr(book, name)
    return found
