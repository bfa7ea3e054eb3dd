"""Keywords of public functions are spelt out, documented, and told when they are mistyped."""

from __future__ import annotations

import inspect

import pytest

import handful
from handful.errors import OptionError
from handful.keywords import known_keywords

FUNCTIONS = [name for name in handful.__all__ if inspect.isroutine(getattr(handful, name))]


@known_keywords
def drawn(shape: str, *, colour: str = "red", width: int = 1) -> tuple[str, str, int]:
    """Give back what it is given."""
    return shape, colour, width


def test_what_is_known_goes_through_and_the_signature_stays():
    assert drawn("round", width=3) == ("round", "red", 3)
    assert list(inspect.signature(drawn).parameters) == ["shape", "colour", "width"]
    assert drawn.__doc__ == "Give back what it is given."


def test_a_mistyped_keyword_is_told_with_the_one_that_was_meant():
    with pytest.raises(OptionError) as error:
        drawn("round", color="blue", zzz=1)
    assert str(error.value) == (
        "drawn has no option 'color'. Did you mean 'colour'?\ndrawn has no option 'zzz'. It has shape, colour, width."
    )


def test_other_mistakes_are_pythons_own():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'shape'"):
        drawn()


def test_the_functions_are_found():
    assert {"tune", "load", "inspect", "check", "predict", "explain", "adapt", "pick"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_spells_its_keywords_out_and_documents_them(name):
    function = getattr(handful, name)
    parameters = inspect.signature(function).parameters
    assert all(p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters.values())
    told = inspect.getdoc(function)
    assert [parameter for parameter in parameters if f"\n    {parameter}: " not in told] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_suggests_what_was_meant(name):
    function = getattr(handful, name)
    first = next(iter(inspect.signature(function).parameters))
    with pytest.raises(OptionError, match=f"^{name} has no option '{first}_'. Did you mean '{first}'?"):
        function(**{f"{first}_": 1})


def test_tune_and_inspect_have_the_options_of_load_and_of_the_command_line():
    load, tune, look = (inspect.signature(getattr(handful, name)).parameters for name in ("load", "tune", "inspect"))
    assert set(load) <= set(tune)
    assert set(load) <= set(look)
    from handful.cli import tune as command

    others = {"as_": "modality", "with_": "related", "json": "out", "details": "out", "more": "source"}
    # flags that are called otherwise, two that print, and further sources, of which Python takes a list
    assert {others.get(name, name) for name in inspect.signature(command).parameters} <= set(tune)
