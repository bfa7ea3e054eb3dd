"""The OpenAPI description of a service of models of items, made from the bodies that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handful.web.asked_items import MOST_NEAREST, PNG, Question
from handful.web.feedback import Correction, TextCorrection
from handful.web.feedback_service import Back

_TEXT, _NUMBER, _WHOLE, _TRUTH = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "boolean"}
_OR_NOTHING = {"type": ["string", "null"]}


def _object(needed: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An object with fields that are always there, and fields that may be."""
    return {"type": "object", "required": list(needed), "properties": {**needed, **(more or {})}}


def _list(of: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(of)}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_ANSWER: dict[str, Any] = _object(
    {},
    {
        "answer": {
            "description": "A class, a list of labels, a rating or a number, as in the training rows; a list of spans, "
            "events or boxes; areas in words."
        },
        "id": {"type": "string", "description": "By which the answer can be corrected."},
        "confidence": {"type": "number", "description": "How sure the answer is of itself, from 0 to 1."},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        "rarity": {"type": "number", "description": "The share of rows like the training rows that look as strange."},
        "unlike_training": {"type": "boolean", "description": "Whether the item is unlike the training rows."},
        "nearest": {"type": "array", "items": {"type": "object"}, "description": "Training rows most like the item."},
        "parts": {"type": "array", "items": {"type": "object"}, "description": "What the answer hangs on."},
        "alarm": {"type": "boolean", "description": "Of defects: whether the item is called a bad one."},
        "score": {"type": "number", "description": "Of defects: how unusual the item is."},
        "threshold": {"type": "number", "description": "Of defects: above which score there is an alarm."},
        "shares": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "Of masks: the share of the picture that each class covers.",
        },
        "count": {"type": "integer", "description": "Of boxes: how many things there are."},
        "counts": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "Of boxes: how many things there are of each label.",
        },
        "width": {"type": "integer", "description": "Of the picture as it is seen upright, in pixels."},
        "height": {"type": "integer", "description": "The same."},
        "drawn": {
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": PNG,
            "description": "What is drawn of the answer: a heat map, a mask, or boxes.",
        },
        "error": {"type": "string", "description": "Why the item has no answer."},
    },
)
_OF_ONE = {
    "model": _TEXT,
    "version": {"type": "string", "description": "Which version answered all items of this request."},
    "answers": _list(_ref("Answer")),
}
_WARNED = {
    "warning": {"type": "string", "description": "Said where nothing shows that the model is better than a guess."}
}
_ANSWERS: dict[str, Any] = _object({**_OF_ONE, "seconds": _NUMBER}, _WARNED)
_ALL: dict[str, Any] = _object(
    {"models": {"type": "object", "additionalProperties": _object(_OF_ONE, _WARNED)}, "seconds": _NUMBER}
)
_ERROR: dict[str, Any] = _object({"error": _object({"message": _TEXT, "type": _TEXT})})
_STORED: dict[str, Any] = _object(
    {
        "model": _TEXT,
        "version": {"type": "string", "description": "Which version answers now."},
        "stored": _TRUTH,
        "learned": {"type": "boolean", "description": "Whether the model took the correction in."},
        "corrections": {"type": "integer", "description": "How many corrections the run has."},
        "answered": _object({"answer": _TEXT, "confidence": _NUMBER, "version": _TEXT}),
        "answers_now": _object({"answer": {}, "confidence": _NUMBER}),
    },
    {"why": {"type": "string", "description": "Why it was not taken in."}},
)
_VERSIONS: dict[str, Any] = _object(
    {
        "now": _TEXT,
        "versions": _list(
            _object(
                {"version": _TEXT, "reason": _TEXT, "corrections": _WHOLE, "made": _OR_NOTHING, "answers_now": _TRUTH}
            )
        ),
    },
    {"runs": _list(_object({"version": _TEXT, "reason": _TEXT, "made": _TEXT, "current": _TRUTH}))},
)
_DRIFT: dict[str, Any] = _object(
    {
        "drifted": {"type": "boolean", "description": "Whether what is asked differs from the training rows for sure."},
        "windows": _WHOLE,
        "waiting": {"type": "integer", "description": "How many different items the next window has so far."},
        "last_window": {"type": ["object", "null"]},
        "corrections": {"type": "integer", "description": "How many the model was not tuned with."},
        "warning": _OR_NOTHING,
        "proposal": _OR_NOTHING,
    },
    {"retraining": _object({"state": _TEXT, "why": _TEXT})},
)
_REFUSED = {
    "400": "The body cannot be read.",
    "401": "The token is missing.",
    "403": "The Host or Origin is not allowed.",
    "404": "There is no such model.",
    "406": "The model draws nothing, and a picture was asked for.",
    "408": "The body took too long.",
    "413": "The body is too large.",
    "415": "The Content-Type is not what the model takes.",
    "422": "A field is not as it must be.",
    "503": "Too many wait, it took too long, or what is kept cannot be read.",
    "507": "There is no room to store it.",
}
_OF_GET = ("400", "401", "403", "404", "503", "507")
_FILE = {"type": "string", "format": "binary"}


def describe(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The description of a service.

    Args:
        models: what ``/models`` says of each.

    Returns:
        An OpenAPI 3.1 document.
    """
    paths: dict[str, Any] = _of_model("", models[0], "")
    if len({(model["modality"], model["pairs"]) for model in models}) == 1:
        paths["/predict/all"] = {"post": _question_to(models[0], "Answers of all models", "All")}
    for model in models:
        paths |= _of_model(f"/models/{model['name']}", model, f" of {model['name']}")
    paths["/models"] = {"get": _get("What each model is", _object({"models": _list({"type": "object"})}))}
    paths["/health"] = {"get": _get("The server is alive", _object({"status": _TEXT}))}
    ready = _object({"status": _TEXT, "models": _list(_TEXT)})
    paths["/ready"] = {"get": _get("The models are loaded", ready)}
    paths["/metrics"] = {"get": {"summary": "Figures for Prometheus", "responses": {
        "200": _content("text/plain", _TEXT), **_errors(_OF_GET),
    }}}  # fmt: skip
    schemas = {
        "Answer": _ANSWER, "Answers": _ANSWERS, "All": _ALL, "Error": _ERROR, "Stored": _STORED, "Versions": _VERSIONS,
        "Drift": _DRIFT,
    }  # fmt: skip
    bodies = {kind.__name__: kind.model_json_schema() for kind in (Question, TextCorrection, Back)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "handful", "version": "1", "description": "Models that learned from a handful of examples."},
        "paths": paths,
        "components": {"schemas": {**schemas, **bodies}},
    }


def _of_model(start: str, model: dict[str, Any], whose: str) -> dict[str, Any]:
    """The pages of one model."""
    text = model["modality"] == "text"
    pages = {f"{start}/predict": {"post": _question_to(model, f"Answers{whose}", "Answers")}}
    if not model.get("followed"):
        return pages
    correction = None if text else _correction()
    if model["feedback"]:
        pages[f"{start}/feedback"] = {
            "post": _post(f"Correct an answer{whose}", "Stored", correction, "TextCorrection")
        }
    return {
        **pages,
        f"{start}/versions": {"get": _get(f"Versions{whose}", _ref("Versions"))},
        f"{start}/drift": {"get": _get(f"Drift{whose}", _ref("Drift"))},
        f"{start}/rollback": {"post": _post(f"Answer as an earlier version{whose}", None, None, "Back")},
    }


def _question_to(model: dict[str, Any], summary: str, answer: str) -> dict[str, Any]:
    """A page that answers items of the kind that a model reads."""
    made = _post(summary, answer, None if model["modality"] == "text" else _question(model), "Question")
    if model.get("draws") and answer == "Answers":
        made["responses"]["200"]["content"][PNG] = {"schema": _FILE}
    return made


def _post(summary: str, answer: str | None, form: dict[str, Any] | None, body: str) -> dict[str, Any]:
    """A page that takes a form, or a JSON body."""
    content = {"multipart/form-data": {"schema": form}} if form else {"application/json": {"schema": _ref(body)}}
    back = _object({"model": _TEXT, "version": _TEXT}) if answer is None else _ref(answer)
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _content("application/json", back), **_errors(tuple(_REFUSED))},
    }


def _get(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": _content("application/json", schema), **_errors(_OF_GET)}}


def _errors(codes: Sequence[str]) -> dict[str, Any]:
    return {code: {**_content("application/json", _ref("Error")), "description": _REFUSED[code]} for code in codes}


def _question(model: dict[str, Any]) -> dict[str, Any]:
    """The form of a question about files."""
    fields: dict[str, Any] = {"explain": _TRUTH} if model["explains"] else {}
    if "draws" not in model:
        fields["nearest"] = {"type": "integer", "minimum": 0, "maximum": MOST_NEAREST}
    if model.get("draws"):
        fields["drawn"] = {"type": "boolean", "description": f"Whether the {model['draws']} is sent too, as PNG."}
    return _object({"file": {**_list(_FILE), "minItems": 1}}, fields)


def _correction() -> dict[str, Any]:
    """The form of a correction of a file."""
    fields = Correction.model_json_schema()["properties"]
    return _object({"file": _FILE, "label": _TEXT}, {name: fields[name] for name in ("new_class", "person")})


def _content(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "An answer.", "content": {kind: {"schema": schema}}}
