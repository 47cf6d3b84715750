"""What a name stands for, and what is said where it stands for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from weighbridge_server.domain.expressions import syntax
from weighbridge_server.domain.expressions.mistakes import Mistake, Mistaken, Place
from weighbridge_server.domain.expressions.syntax import Node
from weighbridge_server.domain.expressions.typed import Path
from weighbridge_server.domain.expressions.types import Map, Message, Names, Rows, Scalar, Type

_WORD = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_MOST_SHOWN = 60


@dataclass(frozen=True)
class Found:
    """Something that has a name."""

    type: Type
    path: Path
    row: str = ""
    """The name under which a list's item goes, that it is part of."""
    within: Path = ()
    """Of a part of something that goes by a name of the user's: the path up to that name."""

    def part(self, name: str) -> Found:
        """A part that there is."""
        if isinstance(self.type, Map):
            path = (*self.path, name)
            return Found(self.type.of, path, self.row, path)
        assert isinstance(self.type, Message), "only these have parts"
        return Found(self.type.fields[name], (*self.path, name), self.row, self.within)

    def has_names(self) -> bool:
        """Whether ``in`` can look for a name in it."""
        return isinstance(self.type, Map | Names)


class Lookup:
    """The names that there are at a place of an expression."""

    def __init__(self, names: Message) -> None:
        self._names = names
        self._rows: dict[str, Message] = {}

    @contextmanager
    def row(self, name: str, of: Message) -> Iterator[None]:
        """Within the block, ``name`` stands for an item of a list, and hides what had this name."""
        hidden = self._rows.get(name)
        self._rows[name] = of
        yield
        if hidden is None:
            del self._rows[name]
        else:
            self._rows[name] = hidden

    def is_known(self, name: str) -> bool:
        """Whether a name that stands alone is one."""
        return name in self._rows or name in self._names.fields

    def find(self, node: Node) -> Found:
        """What a node names.

        Raises:
            Mistaken: nothing, or it is no name.
        """
        steps: list[tuple[str, Place]] = []
        while isinstance(node, syntax.Member | syntax.Index):
            steps.append((_key(node), node.place))
            node = node.of
        if not isinstance(node, syntax.Name):
            raise Mistaken(Mistake(syntax.start(node), "this has no parts"))
        found = self._first(node)
        for name, place in reversed(steps):
            found = self._step(found, name, place)
        return found

    def _first(self, node: syntax.Name) -> Found:
        if node.name in self._rows:
            return Found(self._rows[node.name], (), node.name)
        if node.name not in self._names.fields:
            known = [*self._names.fields, *self._rows]
            own = [f"{name}.{node.name}" for name, of in self._names.fields.items() if isinstance(of, Map)]
            hint = f" (a name that users chose stands behind where it is from: {', '.join(own)})" if own else ""
            raise Mistaken(Mistake(node.place, f"there is no {node.name}{_instead(node.name, known)}{hint}"))
        return Found(self._names, ()).part(node.name)

    def _step(self, found: Found, name: str, place: Place) -> Found:
        if isinstance(found.type, Map):
            return found.part(name)
        shown = found.row if not found.path else self._shown(found)
        if isinstance(found.type, Message):
            if name in found.type.fields:
                return found.part(name)
            hint = ""
            if found.within:
                hint = f'; a name with a dot is written {found.within[0]}["{found.within[-1]}.{name}"]'
            raise Mistaken(
                Mistake(place, f"{shown} has no {name[:_MOST_SHOWN]}{_instead(name, found.type.fields)}{hint}")
            )
        raise Mistaken(Mistake(place, self.no_parts(found, shown)))

    def no_parts(self, found: Found, shown: str) -> str:
        """What is said to who asks for a part of what has none."""
        if isinstance(found.type, Scalar):
            return f"{shown} is a {found.type.kind}: it has no parts"
        return self.no_value(found)

    def no_value(self, found: Found) -> str:
        """What is said to who takes something for a value that is none."""
        shown = self._shown(found) if found.path else found.row
        match found.type:
            case Map():
                return f'{shown} has values under names: {shown}.NAME, or {shown}["NAME"]'
            case Names():
                return f'{shown} is a set of names: ask for one, as in "…" in {shown}'
            case Rows():
                return f"{shown} is a list: ask {shown}.exists(x, …), {shown}.all(x, …) or size({shown})"
            case Message(_, fields):
                return f"{shown} has parts: {', '.join(fields)}"
        return f"{shown} is always there"

    def present(self, found: Found) -> Path | None:
        """The path of what must be there for it to be there; None: that is no question."""
        if found.within:
            return found.within
        return found.path if isinstance(found.type, Scalar) else None

    def _shown(self, found: Found) -> str:
        names = [found.row, *found.path] if found.row else list(found.path)
        first, *others = names
        return first + "".join(f".{name}" if _WORD.fullmatch(name) else f'["{name[:_MOST_SHOWN]}"]' for name in others)


def _key(node: syntax.Member | syntax.Index) -> str:
    if isinstance(node, syntax.Member):
        return node.name
    if isinstance(node.key, syntax.Literal) and isinstance(node.key.value, str):
        return node.key.value
    raise Mistaken(Mistake(syntax.start(node.key), 'what stands in brackets is a name in quotes, as in tags["a b"]'))


def _instead(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else f"; there is {', '.join(names)}"
