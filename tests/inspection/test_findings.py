"""Findings: how they are written, and their order."""

import json

from handful.inspection.findings import KINDS, Finding, by_cost


def test_the_entry_of_the_file():
    finding = Finding("label_error", (17, 4), "2 labels look wrong", "Look at them.", (0.97, 0.81), 0.1)
    assert json.loads(json.dumps(finding.record())) == {
        "kind": "label_error",
        "rows": [17, 4],
        "scores": [0.97, 0.81],
        "message": "2 labels look wrong",
        "advice": "Look at them.",
    }
    assert finding.kind in KINDS


def test_the_most_costly_comes_first():
    small, large, other = (Finding("leak", (), name, "", (), cost) for name, cost in (("s", 0), ("l", 0.5), ("o", 0)))
    assert by_cost([small, large, other]) == [large, small, other]
