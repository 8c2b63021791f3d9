"""How the findings about a transition show themselves in Python: briefly, and in a notebook with their sentences."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from qernel.text import typeset


class Evident(abc.ABC):
    """What has ``evidence``, sentences of which the first is the verdict."""

    @property
    @abc.abstractmethod
    def evidence(self) -> list[str]:
        """Sentences that can be quoted."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.evidence[0]!r})"

    def _repr_html_(self) -> str:
        return listed(self.evidence)


def listed(sentences: Sequence[str]) -> str:
    """The verdict, and below it what supports it."""
    first, *others = (typeset(sentence) for sentence in sentences)
    return f"<p><b>{first}</b></p><ul>{''.join(f'<li>{sentence}</li>' for sentence in others)}</ul>"
