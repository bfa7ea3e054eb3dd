"""The options of a run: every problem told at once, times read, origins kept."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from handful.choices import LANGUAGE_ARMS, METRICS, SHARED, STRATEGIES
from handful.errors import HandfulError, OptionError
from handful.plan import ENGINES, Plan, seconds_of


def refusal(**given):
    with pytest.raises(OptionError) as error:
        Plan.resolve(given)
    return str(error.value)


def test_without_options_everything_has_its_default():
    plan = Plan.resolve({})
    assert plan == Plan()
    assert {origin for _, _, origin in plan.items()} == {"default"}


def test_given_values_keep_where_they_came_from_and_none_is_not_given():
    plan = Plan.resolve({"source": "a.csv", "seed": 3, "metric": None}, "command line")
    origins = {name: origin for name, _, origin in plan.items()}
    assert (plan.source, plan.seed, plan.metric) == ("a.csv", 3, "accuracy")
    assert (origins["source"], origins["seed"], origins["metric"]) == ("command line", "command line", "default")


def test_every_problem_is_told_at_once():
    told = refusal(budget="soon", strategies="knn,svm", metric="acuracy", engine="dask", seed=-1, sed=0, backbone=" , ")
    assert told.splitlines() == [
        "unknown option 'sed'. Did you mean 'seed'?",
        "budget must be a time such as 30s, '1 min' or 0, got 'soon'. Try '1 min'.",
        f"strategies must be one of {', '.join(dict.fromkeys((*STRATEGIES, SHARED, *LANGUAGE_ARMS)))}, got 'knn'. "
        "Choose one of these.",
        f"metric must be one of {', '.join(METRICS)}, got 'acuracy'. Did you mean 'accuracy'?",
        f"engine must be one of {', '.join(ENGINES)}, got 'dask'. Choose one of these.",
        "seed must be a whole number from 0 up, got -1. Try 0.",
        "backbone must be a name, a folder or auto, got ' , '. See `handful models list`.",
    ]


@pytest.mark.parametrize("seed", [-1, 1.5, "3", True, [0]])
def test_a_seed_is_a_whole_number(seed):
    assert refusal(seed=seed) == f"seed must be a whole number from 0 up, got {seed!r}. Try 0."


def test_a_seed_from_numpy_is_a_seed(tmp_path):
    plan = Plan.resolve({"seed": np.arange(4)[3]})
    assert plan.seed == 3
    plan.save(tmp_path / "plan.yaml")
    assert yaml.safe_load((tmp_path / "plan.yaml").read_text())["seed"]["value"] == 3


def test_an_empty_source_is_not_the_folder_one_stands_in():
    assert refusal(source="") == "source must be a folder or a file, got an empty text. Name one."


def test_no_strategy_and_the_reference_alone_choose_nothing():
    told = f"strategies must name at least one of {', '.join(STRATEGIES[1:])}."
    for strategies in ("", "majority", [], ["majority"], " , "):
        assert refusal(strategies=strategies) == told


@pytest.mark.parametrize("strategies", ["zero_shot, svm", "zero-shot,svm,", ["zero-shot", "svm"], ("zero_shot", "svm")])
def test_strategies_are_text_or_a_sequence_with_either_dash(strategies):
    assert Plan.resolve({"strategies": strategies}).strategies == ("zero-shot", "svm")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0), (0, 0), (90, 90), ("90", 90), ("30s", 30), ("30 s", 30), ("1 min", 60), ("2min", 120),
        ("2 mins", 120), ("1.5 m", 90), ("2 minutes", 120), ("1 hour", 3600), ("2H", 7200), (" 10 sec ", 10),
        ("10 seconds", 10), (1e-5, 1e-5), (1e20, 1e20), (np.float32(2), 2),
    ],
)  # fmt: skip
def test_times(said, seconds):
    assert seconds_of(said) == seconds
    assert Plan.resolve({"budget": said}).budget == seconds


@pytest.mark.parametrize("said", ["", "-1", -1, -0.5, "1 day", "s", "1:30", "1h30m", float("nan"), float("inf"), "1e3"])
def test_what_is_no_time(said):
    with pytest.raises(OptionError) as error:
        seconds_of(said)
    assert str(error.value) == f"budget must be a time such as 30s, '1 min' or 0, got {said!r}. Try '1 min'."


@given(st.floats(0, 1e6, allow_subnormal=False).map(lambda x: round(x, 3)), st.sampled_from(["s", "min", "h"]))
def test_a_time_is_its_number_times_its_unit(number, unit):
    assert seconds_of(f"{number:.3f} {unit}") == pytest.approx(number * {"s": 1, "min": 60, "h": 3600}[unit])


@given(st.text(max_size=12) | st.floats() | st.integers())
def test_anything_else_is_refused_in_a_sentence(said):
    try:
        assert 0 <= seconds_of(said) < float("inf")
    except HandfulError as error:
        assert "budget must be a time" in str(error)


def test_paths_become_text(tmp_path):
    plan = Plan.resolve({"source": tmp_path, "out": tmp_path / "out", "backbone": tmp_path})
    assert (plan.source, plan.out, plan.backbone) == (str(tmp_path), f"{tmp_path}/out", str(tmp_path))


def test_the_file_says_value_and_origin_of_every_option(tmp_path):
    plan = Plan.resolve({"source": "süß/a b.csv", "strategies": "svm", "budget": "2 min"}, "command line")
    plan.save(tmp_path / "plan.yaml")
    text = (tmp_path / "plan.yaml").read_text(encoding="utf-8")
    found = yaml.safe_load(text)
    assert list(found) == [name for name, _, _ in plan.items()]
    assert found["source"] == {"value": "süß/a b.csv", "from": "command line"}
    assert found["strategies"] == {"value": ["svm"], "from": "command line"}
    assert found["budget"] == {"value": 120.0, "from": "command line"}
    assert found["seed"] == {"value": 0, "from": "default"}
    assert "süß" in text


def test_a_remedy_is_one_of_three():
    assert Plan.resolve({"anti_forgetting": "l2sp"}).anti_forgetting == "l2sp"
    with pytest.raises(OptionError, match="anti-forgetting must be one of fade, l2sp, replay, got 'dropout'"):
        Plan.resolve({"anti_forgetting": "dropout"})


def test_what_to_type_again_holds_what_was_given():
    plan = Plan.resolve({"source": "my rows.jsonl", "budget": "2 min", "strategies": "lora,full"}, "command line")
    assert plan.again(strategies="lora", anti_forgetting="fade") == (
        "handful tune 'my rows.jsonl' --budget 120 --strategies lora --anti-forgetting fade"
    )
    assert (
        Plan.resolve({"budget": 3}, "argument").again(anti_forgetting="fade")
        == "handful.tune(…, anti_forgetting='fade')"
    )
