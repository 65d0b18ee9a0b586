"""A layer's docstring, taken apart: the formula, then labelled parts (Bottom, Top, Refused, Differs from ...)."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

_LABEL = re.compile(
    r"(?:Bottoms and tops|(?:Second |No )?[Bb]ottoms?|(?:Second |No )?[Tt]ops?|Blobs?|Parameters|Refused|Memory|Cost"
    r"|Differs from (?:Caffe|torch|PyTorch|[A-Z]\w+)|[a-z]\w*_param)(?=[\s:,.;'])"
)
_FIELD_FIRST = re.compile(r"``\w+``(?:,| \()")
_SENTENCE = re.compile(r"(?<=[.;:]) (?=[A-Z`a-z])")


@dataclass(frozen=True)
class Part:
    """``kind``: "label" (``label`` leads the text), "text", or "code" (kept as it is)."""

    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True)
class Description:
    """A docstring: ``summary`` is its first paragraph, mostly a formula; ``parts`` the rest in its order."""

    summary: str
    parts: list[Part]

    @property
    def is_formula(self) -> bool:
        return " = " in self.summary

    @property
    def formula_lines(self) -> list[str]:
        """The formula, one equation a line; a field's name stands in quotes, as code cannot mark it."""
        plain = self.summary.replace("``", "'")
        return [line.strip() for line in re.split(r"\n|,  ", plain)]

    def labelled(self, label: str) -> list[str]:
        """The texts of the parts of one label, each without the label and the colon or comma after it."""
        return [part.text.lstrip(":, ") for part in self.parts if part.label == label]


def describe(cls: type) -> Description:
    """The docstring of a class, taken apart."""
    paragraphs = re.split(r"\n\s*\n", (inspect.getdoc(cls) or "").strip())
    parts = [part for paragraph in paragraphs[1:] for part in _parts(paragraph)]
    return Description(paragraphs[0], parts)


def _parts(paragraph: str) -> list[Part]:
    if paragraph.startswith("    "):
        return [Part("code", inspect.cleandoc("\n" + paragraph))]
    text = " ".join(line.strip() for line in paragraph.splitlines())
    if text.endswith("::"):
        text = text[:-1]
    parts: list[Part] = []
    for sentence in _SENTENCE.split(text):
        label = _label(sentence, parts)
        if label is not None:
            parts.append(Part("label", sentence[len(label) :] if sentence.startswith(label) else sentence, label))
        elif parts:
            last = parts.pop()
            parts.append(Part(last.kind, f"{last.text} {sentence}", last.label))
        else:
            parts.append(Part("text", sentence))
    return parts


def _label(sentence: str, before: list[Part]) -> str | None:
    """The label that a sentence begins with; one that begins with fields (```` ``axis`` (default 1) ````) has none.

    Lower-case words are labels only where a sentence ended before.
    """
    ended = not before or before[-1].text.endswith(".")
    found = _LABEL.match(sentence)
    if found and ended:
        return found[0]
    if ended and _FIELD_FIRST.match(sentence) and not any(part.label == "Parameters" for part in before):
        return "Parameters"
    return None
