"""How far work of several equal parts has come, told to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable

Told = Callable[[str, float], None]
"""Called with what is being done and the fraction of all work that is done."""


class Parts:
    """Tells a callback how far work of several equal parts has come.

    Args:
        tell: the callback; None: nobody listens.
        count: number of parts.
    """

    def __init__(self, tell: Told | None, count: int) -> None:
        self._tell, self._count = tell, count
        self._index, self._what = -1, ""

    def begin(self, what: str) -> None:
        """Say that the next part begins."""
        self._index += 1
        self._what = what + (f" ({self._index + 1} of {self._count})" if self._count > 1 else "")
        self(0.0)

    def __call__(self, fraction: float) -> None:
        """Tell the fraction done of the present part."""
        if self._tell is not None:
            self._tell(self._what, (max(self._index, 0) + fraction) / self._count)
