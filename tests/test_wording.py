"""Numbers with their nouns."""

from dmdnet.wording import counted


def test_one_and_many() -> None:
    assert [counted(number, "person") for number in (0, 1, 2)] == ["0 people", "1 person", "2 people"]
    assert counted(1, "picture") == "1 picture"
    assert counted(1234, "picture") == "1,234 pictures"
