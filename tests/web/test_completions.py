"""The OpenAI-compatible application: what it answers, how it streams, whom it refuses, and who waits for whom."""

import http.client
import itertools
import json
import socket
import threading
import urllib.request

import pytest
from starlette.testclient import TestClient

from handful.web.completions import MOST_BYTES, application

CHAT = "/v1/chat/completions"
JSON = {"Content-Type": "application/json"}


def asking(text="hello", **fields):
    return {"model": "toy", "messages": [{"role": "user", "content": text}], "temperature": 1, "seed": 3, **fields}


@pytest.fixture
def client(speaker):
    with TestClient(
        application(speaker, "toy"), "http://127.0.0.1", raise_server_exceptions=False, headers=JSON
    ) as made:
        yield made


def events(text):
    """The data of server-sent events."""
    parts = text.split("\n\n")
    assert parts.pop() == ""
    assert all(part.startswith("data: ") and "\n" not in part for part in parts)
    return [part.removeprefix("data: ") for part in parts]


def content(chunks):
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


# Answers -----------------------------------------------------------------------------------------------------------


def test_a_whole_answer(client, speaker):
    response = client.post(CHAT, json=asking())
    assert response.status_code == 200
    found = response.json()
    assert found["id"].startswith("chatcmpl-")
    assert found["created"] > 0
    assert (found["object"], found["model"]) == ("chat.completion", "toy")
    assert found["system_fingerprint"] == speaker.fingerprint
    (choice,) = found["choices"]
    assert (choice["index"], choice["message"]["role"], choice["finish_reason"]) == (0, "assistant", "length")
    assert choice["message"]["content"]
    # <user>hello<end><assistant>: a letter is a token
    assert found["usage"] == {"prompt_tokens": 8, "completion_tokens": 20, "total_tokens": 28}


def test_the_answer_is_the_one_that_the_model_gives_elsewhere(client, speaker):
    (said,) = speaker.predict(["hello"], temperature=1, seed=3)
    assert client.post(CHAT, json=asking()).json()["choices"][0]["message"]["content"].strip() == said


def test_an_answer_that_ends_by_itself(client, speaker):
    chat = speaker.backbone.chat
    whole = client.post(CHAT, json=asking()).json()["choices"][0]["message"]["content"]
    chat.stops = frozenset({chat.tokenizer.convert_tokens_to_ids(whole[4])})
    found = client.post(CHAT, json=asking()).json()
    assert found["choices"][0]["message"]["content"] == whole[: whole.index(whole[4])]
    assert found["choices"][0]["finish_reason"] == "stop"
    assert found["usage"]["completion_tokens"] < 20


def test_an_answer_that_ends_at_a_stop(client):
    whole = client.post(CHAT, json=asking()).json()["choices"][0]["message"]["content"]
    found = client.post(CHAT, json=asking(stop=whole[5:8])).json()
    assert found["choices"][0]["message"]["content"] == whole[:5]
    assert found["choices"][0]["finish_reason"] == "stop"
    assert 8 <= found["usage"]["completion_tokens"] < 20


def test_the_most_tokens_may_be_fewer_or_more_than_usual(client):
    assert client.post(CHAT, json=asking(max_tokens=3)).json()["usage"]["completion_tokens"] == 3
    assert client.post(CHAT, json=asking(max_completion_tokens=30)).json()["usage"]["completion_tokens"] == 30


def test_more_tokens_than_the_context_holds_end_with_it(client, speaker):
    found = client.post(CHAT, json=asking(max_tokens=9999)).json()
    assert found["usage"]["total_tokens"] == speaker.backbone.context
    assert found["choices"][0]["finish_reason"] == "length"


def test_without_a_seed_answers_differ_and_without_a_temperature_they_do_not(client):
    def said(**fields):
        response = client.post(CHAT, json=asking(**fields))
        return response.json()["choices"][0]["message"]["content"]

    assert said(seed=None) != said(seed=None)
    assert said() == said()
    assert said(seed=None, temperature=None) == said(seed=None, temperature=0)


def test_the_model_may_be_left_out_and_the_type_of_the_content_too(client):
    body = json.dumps({"messages": asking()["messages"]})
    assert client.post(CHAT, content=body).status_code == 200


# Streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_begins_with_the_role_and_ends_with_a_reason(client):
    response = client.post(CHAT, json=asking(stream=True))
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *parts, last = events(response.text)
    assert last == "[DONE]"
    chunks = [json.loads(part) for part in parts]
    assert len({(c["id"], c["created"], c["model"], c["object"]) for c in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert all(c["choices"][0]["finish_reason"] is None for c in chunks[:-1])
    assert chunks[-1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "length"}]
    assert all(c["choices"][0]["delta"]["content"] for c in chunks[1:-1])  # no chunk says nothing
    whole = client.post(CHAT, json=asking()).json()["choices"][0]["message"]["content"]
    assert content(chunks) == whole
    assert not any("usage" in chunk for chunk in chunks)


def test_a_stream_can_say_how_many_tokens_it_took(client):
    response = client.post(CHAT, json=asking(stream=True, stream_options={"include_usage": True}))
    *parts, used, _ = events(response.text)
    assert all(json.loads(part)["usage"] is None for part in parts)
    assert json.loads(used)["choices"] == []
    assert json.loads(used)["usage"] == {"prompt_tokens": 8, "completion_tokens": 20, "total_tokens": 28}


def test_a_stream_ends_at_a_stop(client):
    whole = client.post(CHAT, json=asking()).json()["choices"][0]["message"]["content"]
    *parts, _ = events(client.post(CHAT, json=asking(stream=True, stop=[whole[5:8], "never"])).text)
    chunks = [json.loads(part) for part in parts]
    assert content(chunks) == whole[:5]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


# Errors ------------------------------------------------------------------------------------------------------------


def test_a_refusal_has_the_form_that_clients_expect(client):
    response = client.post(CHAT, json=asking(n=2))
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "n must be 1, for one answer is given at a time, got 2. "
        "Leave it out and ask several times, each with another seed.",
        "type": "invalid_request_error",
        "param": "n",
        "code": None,
    }


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_over_the_context_is_refused_before_anything_is_sent(client, stream):
    response = client.post(CHAT, json=asking("x" * 300, stream=stream))
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"] == (
        "messages must have at most 236 tokens, so that an answer fits into the context of 256, got 303. Shorten the "
        "conversation."
    )
    assert (error["param"], error["code"]) == ("messages", "context_length_exceeded")


def test_a_conversation_may_be_longer_where_the_answer_is_short(client):
    assert client.post(CHAT, json=asking("x" * 240, max_tokens=5)).status_code == 200
    assert client.post(CHAT, json=asking("x" * 240)).status_code == 400


def test_the_body_has_a_limit(client):
    response = client.post(CHAT, content=b" " * (MOST_BYTES + 1))
    assert response.status_code == 413
    assert response.json()["error"]["message"] == (
        "the body must have at most 1,048,576 bytes, got more. Shorten the conversation."
    )
    body = json.dumps(asking()).encode()
    assert client.post(CHAT, content=body + b" " * (MOST_BYTES - len(body))).status_code == 200


def test_halves_of_characters_are_refused_or_replaced_but_break_nothing(client):
    for turn in ({"role": "\ud800x", "content": "a"}, {"role": "user", "content": "\ud800"}):
        response = client.post(CHAT, content=json.dumps({"messages": [turn]}))
        assert response.status_code == (200 if turn["role"] == "user" else 400)


@pytest.mark.parametrize(
    ("method", "page", "status", "why"),
    [("GET", CHAT, 405, "Method Not Allowed"), ("POST", "/v1/completions", 404, "Not Found")],
)
def test_other_pages(client, method, page, status, why):
    response = client.request(method, page)
    assert response.status_code == status
    assert response.json()["error"]["message"] == (
        f"{method} {page} is not possible ({why}). There are POST /v1/chat/completions, GET /v1/models and GET /health."
    )


def test_what_goes_wrong_inside_is_said_to_the_client_and_to_the_log(client, caplog):
    said = "the server failed on this request; what happened is on its standard error. Ask again."
    response = client.post(CHAT, json=asking("fail"))
    assert response.status_code == 500
    assert response.json()["error"]["message"] == said
    assert response.json()["error"]["type"] == "server_error"
    *_, last = events(client.post(CHAT, json=asking("fail", stream=True)).text)
    assert json.loads(last)["error"]["message"] == said
    assert "out of memory" in caplog.text
    assert client.post(CHAT, json=asking()).status_code == 200  # the next one is answered


@pytest.mark.parametrize("stream", [False, True])
def test_while_it_is_being_stopped_nobody_is_answered(client, speaker, stream):
    client.app.state.stopping = True
    response = client.post(CHAT, json=asking(stream=stream))
    error = json.loads(events(response.text)[-1] if stream else response.text)["error"]
    assert (error["message"], error["type"]) == (
        "the server is being stopped. Ask again when it is back.",
        "server_error",
    )
    assert response.status_code == (200 if stream else 503)
    assert speaker.order == []


# The model and health ----------------------------------------------------------------------------------------------


def test_the_model_is_listed(client):
    found = client.get("/v1/models").json()
    (model,) = found["data"]
    assert (found["object"], model["id"], model["object"], model["owned_by"]) == ("list", "toy", "model", "handful")
    assert client.get("/v1/models/toy").json() == model
    assert client.get("/v1/models/other/one").json()["error"]["code"] == "model_not_found"


def test_health(client):
    assert client.get("/health").json() == {"status": "ok", "model": "toy"}


def test_health_tells_that_a_model_is_not_shown_to_be_better_than_a_guess(client, speaker):
    speaker.beats_reference = False
    said = client.get("/health").json()["warning"]
    assert said.startswith(f"The model is not shown to be better than {speaker.task.reference.words}: ")


# Over a socket -----------------------------------------------------------------------------------------------------


def ask(host, port, **fields):
    request = urllib.request.Request(f"http://{host}:{port}{CHAT}", json.dumps(asking(**fields)).encode(), JSON)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def connected(host, port, **fields):
    """A connection on which a question was asked."""
    found = http.client.HTTPConnection(host, port, timeout=60)
    found.request("POST", CHAT, json.dumps(asking(**fields)), JSON)
    return found


def test_pieces_arrive_while_the_answer_grows(served, speaker):
    host, port, _ = served(speaker)
    connection = connected(host, port, text="forever", stream=True)
    response = connection.getresponse()
    lines = [line for line in itertools.islice(response, 20) if line.strip()]
    assert content([json.loads(line.removeprefix(b"data: ")) for line in lines]) == "a" * 9
    response.close()
    connection.close()


def test_one_answer_at_a_time(served, speaker):
    host, port, _ = served(speaker)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(host, port))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["choices"][0]["message"]["content"] for answer in answers}) == 1
    assert len(answers) == len(list(itertools.groupby(speaker.order))) == 4


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_gives_the_others_their_turn(served, speaker, stream):
    host, port, _ = served(speaker)
    body = json.dumps(asking("forever", stream=stream)).encode()
    with socket.create_connection((host, port), timeout=60) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json"
        connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body)
        assert speaker.begun.wait(60)
    assert ask(host, port)["usage"]["completion_tokens"] == 20


def test_who_leaves_while_waiting_is_not_answered(served, speaker):
    host, port, _ = served(speaker)
    first = connected(host, port, text="forever", stream=True)
    response = first.getresponse()
    connected(host, port, text="fail").close()
    response.close()
    first.close()
    assert ask(host, port)["usage"]["completion_tokens"] == 20
    assert len(set(speaker.order)) == 2


def test_stopping_ends_an_answer_that_would_go_on(served, speaker):
    host, port, stop = served(speaker)
    connection = connected(host, port, text="forever", stream=True)
    response = connection.getresponse()
    assert response.readline().startswith(b"data: ")
    threading.Thread(target=stop).start()
    *_, last = events(response.read().decode().removeprefix("\n"))
    assert json.loads(last)["error"]["message"] == "the server is being stopped. Ask again when it is back."
    assert stop()
    connection.close()


@pytest.mark.parametrize("stream", [False, True])
def test_the_end_waits_for_no_question_that_takes_long_to_read(served, speaker, stream, monkeypatch):
    monkeypatch.setattr("handful.web.serving._PATIENCE", 0.01)
    host, port, stop = served(speaker)
    connection = connected(host, port, text="long", stream=stream)
    assert speaker.begun.wait(60)
    assert stop()
    response = connection.getresponse()
    said = response.read().decode()
    error = json.loads(events(said)[-1] if stream else said)["error"]
    assert error["message"] == "the server is being stopped. Ask again when it is back."
    assert response.status == (200 if stream else 503)
    connection.close()
