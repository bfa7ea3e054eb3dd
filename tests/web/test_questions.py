"""Requests for chat completions: what is read of them, and the text of every refusal."""

import json

import pytest

from handful.backbones.language import Sampling
from handful.data.conversations import Message
from handful.web.questions import RefusedError, read_question

HI = [{"role": "user", "content": "hi"}]
USUAL = Sampling(20, 0.0, 7)


def read(**fields):
    return read_question(json.dumps({"messages": HI, **fields}).encode(), "toy", USUAL)


def refusal(body: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        read_question(body, "toy", USUAL)
    return refused.value


def test_what_is_not_said_is_as_usual():
    found = read()
    assert (found.messages, found.sampling, found.stops) == ((Message("user", "hi"),), USUAL, ())
    assert (found.stream, found.usage) == (False, False)


def test_everything_that_can_be_said():
    found = read(
        model="toy", temperature=0.5, seed=-1, max_tokens=9, stop=["a", "b"], stream=True, n=1,
        stream_options={"include_usage": True},
    )  # fmt: skip
    assert found.sampling == Sampling(9, 0.5, 2**64 - 1)
    assert (found.stops, found.stream, found.usage) == (("a", "b"), True, True)


def test_null_means_not_said():
    names = ("model", "temperature", "seed", "max_tokens", "max_completion_tokens", "stop", "stream", "n")
    assert read(**dict.fromkeys(names)) == read()


def test_the_newer_name_of_the_most_tokens_goes_first():
    assert read(max_tokens=9, max_completion_tokens=5).sampling.most == 5


def test_fields_that_are_not_known_are_ignored():
    assert read(top_p=0.5, user="me", tools=[], stream_options=3) == read()


def test_content_in_parts_and_the_developer():
    turns = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    assert read(messages=turns).messages == (Message("system", "be kind"), Message("user", "ab"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"n": 2}, "n must be 1, for one answer is given at a time, got 2. Leave it out and ask several times, each "
                   "with another seed."),
        ({"temperature": 2.5}, "temperature must be a number from 0 to 2, got 2.5. Leave it out for the most likely "
                               "answer."),
        ({"temperature": -1}, "temperature must be a number from 0 to 2, got -1."),
        ({"temperature": True}, "temperature must be a number from 0 to 2, got true."),
        ({"temperature": "warm"}, 'temperature must be a number from 0 to 2, got "warm".'),
        ({"temperature": float("nan")}, "temperature must be a number from 0 to 2, got nan."),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5. Leave it out or try 0."),
        ({"seed": False}, "seed must be a whole number, got false."),
        ({"max_tokens": 0}, "max_tokens must be a whole number from 1 up, got 0. Leave it out."),
        ({"max_completion_tokens": "9"}, 'max_completion_tokens must be a whole number from 1 up, got "9".'),
        ({"stop": ""}, 'stop must be a text or a list of at most 4 texts, none of them empty, got "". Leave it out, or '
                       "name what ends an answer."),
        ({"stop": ["a", ""]}, "stop must be a text or a list of at most 4 texts"),
        ({"stop": list("abcde")}, "stop must be a text or a list of at most 4 texts"),
        ({"stop": {"a": 1}}, "stop must be a text or a list of at most 4 texts"),
        ({"stream": "yes"}, 'stream must be true or false, got "yes".'),
        ({"messages": None}, "messages must be a list of messages with role and content, got nothing."),
        ({"messages": "hi"}, 'messages must be a list of messages with role and content, got "hi".'),
        ({"messages": []}, "the prompt must end with a message of the user, got none at all."),
        ({"messages": [{"role": "tool", "content": "x"}]}, 'message 1 of the prompt is of the role "tool": tools are '
                                                           "not known here."),
        ({"messages": ["hi"]}, "message 1 of the prompt must have a role and a content, got str."),
        ({"messages": [*HI, {"role": "assistant", "content": "x"}]}, "the prompt must end with a message of the user, "
                                                                     "got one of the assistant."),
        ({"messages": [{"role": "user", "content": "  "}]}, "message 1 of the prompt is empty."),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "message 1 of the prompt must hold text "
                                                                               "only, got parts of another kind."),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_with_its_field(fields, said):
    error = refusal(json.dumps({"messages": HI, **fields}).encode())
    assert str(error).startswith(said)
    assert (error.param, error.status, error.code) == (next(iter(fields)), 400, None)


def test_another_model():
    error = refusal(json.dumps({"messages": HI, "model": "gpt-" + "4" * 99}).encode())
    assert str(error) == (
        f"model must be 'toy', the only one here, got \"gpt-{'4' * 52}.... Change it or leave it out."
    )
    assert (error.param, error.status, error.code) == ("model", 404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body must be JSON, but it cannot be read (Expecting value: line 1 column 1 (char 0)). Send an "
              "object with model and messages."),
        (b"\xff\xfe\xff", "the body must be JSON, but it cannot be read ("),
        (b"[" * 200_000, "the body must be JSON, but it cannot be read ("),
        (b"[1]", "the body must be a JSON object, got [1]. Send an object with model and messages."),
        (b"null", "the body must be a JSON object, got null."),
    ],
)  # fmt: skip
def test_what_is_no_request_at_all(body, said):
    error = refusal(body)
    assert str(error).startswith(said)
    assert (error.param, error.status) == (None, 400)


def test_a_refusal_as_openai_writes_it():
    assert RefusedError("no \ud800", "x", 404, "gone").body() == {
        "error": {"message": "no ?", "type": "invalid_request_error", "param": "x", "code": "gone"}
    }
    assert RefusedError("down", status=503).body()["error"]["type"] == "server_error"
