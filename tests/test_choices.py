"""Names that options take: read from files and a table, without importing what they name."""

import pytest

from handful import choices
from handful.choices import Method, methods

FILE = '"""A strategy."""\n\nLIST = [1]\n\n\nclass {kind}(Tuned):\n    """One."""\n\n{body}'


@pytest.fixture
def folder(tmp_path):
    """A folder with strategies of these names, each with more lines in the body of its class."""

    def write(**bodies):
        (tmp_path / "__init__.py").write_text('"""Strategies."""')
        for name, lines in bodies.items():
            body = "".join(f"    {line}\n" for line in (f'name = "{name}"', *lines))
            (tmp_path / f"{name}.py").write_text(FILE.format(kind=name.title(), body=body))
        return tmp_path

    return write


def test_a_file_is_a_strategy_with_what_its_class_says(folder):
    place = folder(one=["family = 'contrast'", "order: ClassVar[int] = 7", "rate: float = 1e-3", "size = 2 + 2"])
    assert methods(place, "a.b") == (Method("one", "One", "a.b.one", "contrast", 7),)


def test_what_says_no_order_stands_last_and_by_name(folder):
    place = folder(apple=[], bear=["order = 3"], cow=[], deer=["order = 2"])
    assert [method.name for method in methods(place, "a")] == ["deer", "bear", "apple", "cow"]
    assert methods(place, "a")[-1] == Method("cow", "Cow", "a.cow", "blocks", 100)


@pytest.mark.parametrize(("text", "got"), [('"""No class."""', 0), ("class A:\n    name = 'a'\n" * 2, 2)])
def test_a_file_is_one_strategy(folder, text, got):
    place = folder()
    (place / "odd.py").write_text(text)
    with pytest.raises(ValueError, match=f"odd.py must have one class with a name, got {got}. Give each strategy a"):
        methods(place, "a")


def test_what_looks_at_no_item_stands_first():
    assert {heads[0] for heads in choices.HEADS_OF.values() if heads} == {choices.HEADS[0]}


def test_every_name_stands_once():
    for names in (
        choices.HEADS,
        choices.MOVERS,
        choices.STRATEGIES,
        choices.LANGUAGE_ARMS,
        choices.METRICS,
        choices.TASKS,
    ):
        assert len(set(names)) == len(names)
