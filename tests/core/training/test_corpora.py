"""What is read of corpora, what is refused with its place, and in which part each dialogue is."""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CannotTrain
from core.store import export
from core.store.records import forgotten
from core.training import extra
from core.training.corpora import files
from core.training.corpora.corpus import Corpus, part_of, read
from core.training.corpora.dialogue import Bad, BadRecord, Dialogue, Record
from core.turns import Turn

TALK = (("user", "Hi"), ("assistant", "Hello, Ann"))


def of(*said: tuple[str, str]) -> Dialogue:
    return Dialogue.of(said)


def line(*said: tuple[str, object]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in said]})


def many(count: int) -> str:
    return "\n".join(line(("user", f"What is {i}?"), ("assistant", f"A number: {i}.")) for i in range(count))


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def said(records: Iterable[Record]) -> list[list[tuple[str, str]] | str]:
    """Dialogues as roles and texts, bad records as line and reason."""
    return [
        f"{record.place.rpartition(':')[2]}: {record.why}"
        if isinstance(record, Bad)
        else [(message.role, message.text) for message in record.messages]
        for record in records
    ]


def test_messages_a_line_and_each_bad_line_by_its_number(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "Ann"}]
    lines = [
        line(*TALK),
        "",
        line(("system", "Be kind."), ("user", "Hi "), ("user", "there"), ("assistant", parts)),
        '{"messages": [',
        '{"text": "a secret"}',
        line(("user", "Hi"), ("tool", "a secret")),
        line(("user", 5)),
        line(("user", " \n")),
        line(("user", "Hi"), ("system", "a secret")),
        line(("system", "a secret")),
        "[]",
    ]
    path = written(tmp_path / "talk.jsonl", "\ufeff" + "\n".join(lines))
    read = said(files.read(path))
    assert read == [
        list(TALK),
        [("system", "Be kind."), ("user", "Hi\nthere"), ("assistant", "Hello, Ann")],
        "4: it is no JSON object",
        '5: it has no list of "messages"',
        "6: a message is of nobody among system, user and assistant",
        "7: the content of a message is no text",
        "8: a message is empty",
        "9: a system message stands behind others",
        "10: nobody says anything",
        "11: it is no JSON object",
    ]
    assert "secret" not in str(read)


def test_an_export_of_memory_is_read_by_conversation_and_no_reply_that_was_cut(tmp_path: Path) -> None:
    turns = [
        ("c1", Turn(number=1, role="user", text="Hi")),
        ("c1", Turn(number=2, role="assistant", text="Hello, Ann")),
        ("c1", Turn(number=3, role="user", text="Tell me more")),
        ("c1", Turn(number=4, role="assistant", text="Well, there", cut="stopped")),
        ("c1", Turn(number=5, role="user", text="Again")),
        ("c1", forgotten(6, None)),
        ("c2", Turn(number=1, role="user", text="Hi")),
    ]
    records: list[export.Exported] = [
        *(export.Export(export.FORMAT), export.Summary("c1", "", "They met.")),
        *(export.Said(name, "", turn) for name, turn in turns),
        export.Place("c2", "You are kind."),
    ]
    path = exported(tmp_path, records)
    assert said(files.read(path, everybody=True)) == [
        "6: the reply was cut short",
        [*TALK, ("user", "Tell me more")],
        "8: the turn was forgotten",
        [("user", "Again")],
        [("user", "Hi")],
    ]


def test_of_an_export_is_taken_what_people_agreed_to(tmp_path: Path) -> None:
    turns = [
        ("ann", Turn(number=1, role="user", text="Hi"), True),
        ("ann", Turn(number=2, role="assistant", text="Hello, Ann"), True),
        ("ann", Turn(number=3, role="user", text="Bob is here"), False),
        ("ann", Turn(number=4, role="assistant", text="Hello, Bob"), False),
        ("ann", Turn(number=5, role="user", text="Again"), True),
    ]
    records: list[export.Exported] = [
        export.Export(export.FORMAT),
        *(export.Said(name, "", turn, agreed) for name, turn, agreed in turns),
    ]
    path = exported(tmp_path, records)
    refused = "whoever said it, or was answered, did not agree to it: see memory.agreed"
    assert said(files.read(path)) == [f"4: {refused}", list(TALK), f"5: {refused}", [("user", "Again")]]
    [everything] = said(files.read(path, everybody=True))
    assert len(everything) == 5


def exported(folder: Path, records: Iterable[export.Exported]) -> Path:
    return written(folder / "memory.jsonl", "\n".join(msgspec.json.encode(record).decode() for record in records))


def test_lines_of_text_are_said_in_turn_up_to_an_empty_one(tmp_path: Path) -> None:
    text = "Hi\nHello, Ann\n\n\n  \nProse in one line.\n"
    assert said(files.read(written(tmp_path / "talk.txt", text))) == [list(TALK), [("user", "Prose in one line.")]]


def test_yaml_holds_conversations_and_its_words_stay_words(tmp_path: Path) -> None:
    text = "categories: [a]\nconversations:\n- - Hi\n  - Hello, Ann\n- - yes\n  - 1\n- no list\n- []\n"
    messages = "- messages:\n  - {role: user, content: Hi}\n  - {role: assistant, content: 'Hello, Ann'}\n"
    assert said(files.read(written(tmp_path / "talk.yml", text))) == [
        list(TALK),
        [("user", "yes"), ("assistant", "1")],
        "7: it is no list of messages",
        "8: nobody says anything",
    ]
    assert said(files.read(written(tmp_path / "talk.yaml", messages))) == [list(TALK)]
    assert said(files.read(written(tmp_path / "bad.yaml", "a:\n  - [b\nc: d\n"))) == [
        "3: it is no YAML from here on"
    ]
    assert said(files.read(written(tmp_path / "other.yaml", "a: b"))) == ["1: it has no list of conversations"]


def test_a_folder_is_read_with_all_below_it_and_says_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    written(tmp_path / "below" / "talk.txt", "Hi\nHello, Ann")
    written(tmp_path / ".hidden.txt", "Hi")
    left_out = written(tmp_path / "talk.docx", "Hi")
    records = list(files.read(tmp_path))
    assert records == [of(*TALK), Bad(str(left_out), "it is none of .jsonl, .txt, .yaml, .yml")]


def test_each_dialogue_is_there_once_and_what_was_read_is_accounted_for(tmp_path: Path) -> None:
    path = written(tmp_path / "talk.jsonl", many(300) + "\n" + many(7) + "\n{}")
    corpus = read([str(path), str(path)])
    report = corpus.report
    assert (report.records, report.dialogues, report.duplicates, len(report.bad)) == (616, 300, 314, 2)
    parts = (corpus.train, corpus.validation, corpus.test)
    assert sum(map(len, parts)) == 300
    assert len({dialogue.digest for part in parts for dialogue in part}) == 300
    assert 250 < len(corpus.train) < 290


def test_a_dialogue_stays_in_its_part_when_others_come(tmp_path: Path) -> None:
    few = read([str(written(tmp_path / "few.jsonl", many(200)))])
    more = read([str(written(tmp_path / "more.jsonl", many(400)))])
    for small, large in zip(parts(few), parts(more), strict=True):
        assert set(small) <= set(large)
    assert part_of(of(*TALK)) == "validation", "the same on any machine and in any version"


def parts(corpus: Corpus) -> Sequence[tuple[bytes, ...]]:
    return [tuple(d.digest for d in part) for part in (corpus.train, corpus.validation, corpus.test)]


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool", None]), st.text(max_size=3))))
def test_a_dialogue_takes_turns_and_loses_no_text(pairs: list[tuple[str | None, str]]) -> None:
    try:
        dialogue = Dialogue.of(pairs)
    except BadRecord:
        return
    roles = [message.role for message in dialogue.messages]
    assert all(one != other for one, other in pairwise(roles))
    assert "system" not in roles[1:]
    whole = "\n".join(message.text for message in dialogue.messages)
    assert whole == "\n".join(text.strip() for _, text in pairs)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.jsonl", b"", "there is no conversation in"),
        ("bad.jsonl", b"{}\n", r"the first of 1 bad records is .*bad.jsonl:1: it has no list"),
        ("one.jsonl", line(*TALK).encode(), "too few conversations to learn from, 1: none is left for"),
        ("latin.txt", "Grüß dich\n".encode("latin-1"), "latin.txt is not in UTF-8, as its line 1 shows"),
        ("wide.txt", "Hi\n".encode("utf-16"), "is not in UTF-8"),
        ("talk.doc", b"", "is none of .jsonl"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CannotTrain, match=why):
        read([str(path)])


@pytest.mark.parametrize("name", ["nowhere", "chitchat/x", "./chitchat"])
def test_a_corpus_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(CannotTrain, match="chatterbot/LANGUAGE"):
        read([name])


def test_the_packages_are_read_and_their_languages_are_known() -> None:
    chinese = read(["chatterbot/chinese"])
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese.train[0].messages[0].text)
    assert all(dialogue.answered for dialogue in chinese.train)
    with pytest.raises(CannotTrain, match="does not speak 'klingon'; it has bengali, chinese"):
        read(["chatterbot/klingon"])
    chitchat = read(["chitchat"])
    assert chitchat.report.records == 7168
    assert sum(dialogue.answered for dialogue in chitchat.train) > 3000


def test_a_package_that_is_missing_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(CannotTrain, match=r"needs the package no_such_package.*\[train\]"):
        extra.require("chitchat_dataset", "no_such_package")
