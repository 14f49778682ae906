from core.engine.drafts import Drafts


def of(tokens: str, most: int = 8) -> Drafts:
    drafts = Drafts(most)
    drafts.extend(tokens.encode())
    return drafts


def proposed(drafts: Drafts, most: int = 8) -> str:
    return bytes(drafts.propose(most)).decode()


def test_what_followed_the_newest_tokens_the_last_time_is_proposed() -> None:
    assert proposed(of("my name is ann. your name is"), 5) == " ann."
    assert proposed(of("my name is ann. your name is"), 3) == " an"


def test_three_tokens_that_agree_go_before_two() -> None:
    assert proposed(of("abcX zbcY abc"), 1) == "X"
    assert proposed(of("abcX zbcY qbc"), 1) == "Y"


def test_the_newest_occurrence_counts() -> None:
    assert proposed(of("abcX abcY abc"), 1) == "Y"


def test_what_was_never_seen_proposes_nothing() -> None:
    assert proposed(of("abcdefg")) == ""
    assert proposed(of("a")) == ""
    assert proposed(of("")) == ""


def test_a_proposal_ends_with_what_is_known() -> None:
    assert proposed(of("ababab")) == "ab"


def test_tokens_come_one_by_one_or_together() -> None:
    drafts = of("my name is ann. ")
    for token_id in b"your name is":
        drafts.extend([token_id])
    assert len(drafts) == 28
    assert proposed(drafts, 5) == " ann."


def test_whose_guesses_fail_gets_fewer_and_whose_come_true_more() -> None:
    drafts = of("0123456789 012")
    assert len(drafts.propose(8)) == 8
    drafts.judge(8, 3)
    assert len(drafts.propose(8)) == 3
    drafts.judge(3, 0)
    assert len(drafts.propose(8)) == 1
    for allowed in (2, 4, 8, 8):
        drafts.judge(1, 1)
        assert len(drafts.propose(8)) == allowed
