"""Our own sentences beside the model's words."""

import pytest

from core.notices import under


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "_n_"),
        (" \n", "_n_"),
        ("words \n", "words\n\n_n_"),
        ("```py\nx = 1", "```py\nx = 1\n```\n\n_n_"),
        ("```py\nx = 1\n```\nwords", "```py\nx = 1\n```\nwords\n\n_n_"),
        ("````\n```\nx", "````\n```\nx\n````\n\n_n_"),
        ("~~~\n```\nx", "~~~\n```\nx\n~~~\n\n_n_"),
        ("```\n```py\nx", "```\n```py\nx\n```\n\n_n_"),
        ("so `a ``` b`", "so `a ``` b`\n\n_n_"),
        ("```x``` is it", "```x``` is it\n\n_n_"),
        ("~~~`x`\ny", "~~~`x`\ny\n~~~\n\n_n_"),
    ],
)
def test_notice_is_a_paragraph_of_its_own_and_never_in_code(text: str, expected: str) -> None:
    assert under(text, "_n_") == expected
