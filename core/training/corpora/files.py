"""Files of one's own, by their endings. Each is UTF-8.

- `.jsonl`: a conversation a line, `{"messages": [{"role": "user", "content": "…"}, …]}`; or what
  `trialogue memory export` writes, of which the turns of people are taken who agreed to it, with the replies.
- `.txt`: a message a line, said in turn by two; an empty line ends a conversation. Prose is read too: a paragraph
  in a line of its own is a conversation of one message.
- `.yaml`, `.yml`: `conversations`, each a list of texts that are said in turn, or of messages as above.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import yaml

from core.errors import CannotTrain
from core.training.corpora.dialogue import Bad, BadRecord, Dialogue, Record, in_turn

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built

_Pair = tuple[Any, Any]


def read(path: Path, *, everybody: bool = False) -> Iterator[Record]:
    """A file, or all files in a folder and those below it. With `everybody` an export's turns are taken whether
    people agreed to it or not. Raises `CannotTrain`."""
    if not path.is_dir():
        if path.suffix not in _READERS:
            raise CannotTrain(f"{path} is none of {', '.join(_READERS)}")
        yield from _read(path, everybody)
        return
    for file in sorted(path.rglob("*")):
        if file.is_dir() or file.name.startswith("."):
            continue
        if file.suffix in _READERS:
            yield from _read(file, everybody)
        else:
            yield Bad(str(file), f"it is none of {', '.join(_READERS)}")


def _read(path: Path, everybody: bool) -> Iterator[Record]:
    if path.suffix == ".jsonl":
        return _json_lines(path, everybody)
    return _READERS[path.suffix](path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """With their numbers, from 1."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise CannotTrain(
            f"{path} is not in UTF-8, as its line {number} shows."
            f" Convert it: iconv -f ITS-ENCODING -t UTF-8 {path.name} > new{path.suffix}"
        ) from error
    except OSError as error:
        raise CannotTrain(f"{path} cannot be read: {error.strerror}") from error


def _json_lines(path: Path, everybody: bool = False) -> Iterator[Record]:
    """The turns of an exported conversation stand together."""
    lines = ((number, line) for number, line in _lines(path) if line.strip())
    values = ((number, value) for number, line in lines if not _is_beside(value := _decoded(line)))
    for conversation, records in groupby(values, lambda record: _conversation(record[1])):
        if conversation is None:
            yield from (_checked(f"{path}:{number}", value) for number, value in records)
        else:
            yield from _exported(path, records, everybody)


def _decoded(line: str) -> Any:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None


def _is_beside(value: Any) -> bool:
    """Whether it is a line of an export that holds no turn."""
    return isinstance(value, dict) and "record" in value and value["record"] != "said"


def _conversation(value: Any) -> Any:
    """Whose turn it is in an export. `None`: it is no line of an export."""
    if isinstance(value, dict) and value.get("record") == "said" and isinstance(value.get("turn"), dict):
        return value.get("place"), value.get("thread"), value.get("branch")
    return None


def _checked(place: str, value: Any) -> Record:
    try:
        return Dialogue.of(_pairs(value))
    except BadRecord as error:
        return Bad(place, str(error))


def _pairs(value: Any) -> list[_Pair]:
    if not isinstance(value, dict):
        raise BadRecord("it is no JSON object")
    messages = value.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise BadRecord('it has no list of "messages"')
    return [(message.get("role"), _content(message.get("content"))) for message in messages]


def _content(content: Any) -> Any:
    """Also when it is in parts, as OpenAI's API has it, and all of them are text."""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content if part.get("type") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return "".join(map(str, texts))
    return content


def _exported(path: Path, records: Iterator[tuple[int, Any]], everybody: bool) -> Iterator[Record]:
    """One conversation of an export. A reply that was cut short teaches nobody how to end one, what was forgotten
    is empty, and what somebody did not agree to is not taken: the conversation is read up to there, and from the
    next message on."""
    pairs: list[_Pair] = []
    first = 0
    for number, value in records:
        turn = value["turn"]
        first = first or number
        if why := _unfit(value, everybody):
            yield Bad(f"{path}:{number}", why)
            if pairs:
                yield _said(f"{path}:{first}", pairs)
            pairs, first = [], 0
        else:
            pairs.append((turn.get("role"), turn.get("text")))
    if pairs:
        yield _said(f"{path}:{first}", pairs)


def _unfit(value: Any, everybody: bool) -> str:
    """Why a turn of an export is not taken; empty: it is."""
    turn = value["turn"]
    if not turn.get("text"):
        return "the turn was forgotten"
    if value.get("agreed") is not True and not everybody:
        return "whoever said it, or was answered, did not agree to it: see memory.agreed"
    return "the reply was cut short" if turn.get("cut") else ""


def _said(place: str, pairs: list[_Pair]) -> Record:
    try:
        return Dialogue.of(pairs)
    except BadRecord as error:
        return Bad(place, str(error))


def _text(path: Path) -> Iterator[Record]:
    numbered = ((number, line.strip()) for number, line in _lines(path))
    for there, run in groupby(numbered, lambda record: bool(record[1])):
        if there:
            first, *_ = said = list(run)
            yield _said(f"{path}:{first[0]}", list(in_turn(line for _, line in said)))


def _yaml(path: Path) -> Iterator[Record]:
    """Nodes are read, not values: `yes` is a word here, and `1` too."""
    text = "".join(line for _, line in _lines(path))
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        yield Bad(f"{path}:{mark.line + 1}" if mark else str(path), "it is no YAML from here on")
        return
    conversations = _plain(root).get("conversations") if isinstance(root, yaml.MappingNode) else root
    if not isinstance(conversations, yaml.SequenceNode):
        yield Bad(f"{path}:1", "it has no list of conversations")
        return
    for node in conversations.value:
        place = f"{path}:{node.start_mark.line + 1}"
        try:
            yield _said(place, _yaml_pairs(node))
        except BadRecord as error:
            yield Bad(place, str(error))


def _yaml_pairs(node: Any) -> list[_Pair]:
    if isinstance(node, yaml.MappingNode):
        node = _plain(node).get("messages")
    if not isinstance(node, yaml.SequenceNode):
        raise BadRecord("it is no list of messages")
    if all(isinstance(message, yaml.MappingNode) for message in node.value):
        fields = [_plain(message) for message in node.value]
        return [(_scalar(each.get("role")), _scalar(each.get("content"))) for each in fields]
    return list(in_turn(map(_scalar, node.value)))


def _plain(node: yaml.MappingNode) -> dict[Any, Any]:
    return {_scalar(key): value for key, value in node.value}


def _scalar(node: Any) -> str | None:
    return node.value if isinstance(node, yaml.ScalarNode) else None


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".jsonl": _json_lines,
    ".txt": _text,
    ".yaml": _yaml,
    ".yml": _yaml,
}
