"""What is wrong with marked texts: labels that differ, strings that are missed, ends that waver."""

from handful.data.dataset import Dataset
from handful.data.spans import Repairs, marked
from handful.inspection.marked import marked_findings


def found(*texts):
    cells = []
    for text, spans in texts:
        placed = [(text.index(string), text.index(string) + len(string), label) for string, label in spans]
        cells.append(marked(text, placed, Repairs()).cell)
    return list(marked_findings(Dataset([text for text, _ in texts], "text", tuple(cells), task="tagging")))


def test_a_string_with_two_labels_is_told():
    (finding,) = found(("Paris is far", [("Paris", "place")]), ("Paris called", [("Paris", "person")]))
    assert finding.kind == "conflict"
    assert finding.rows == (0, 1)
    assert finding.message == '1 string marked with different labels: Paris ("person" and "place")'


def test_a_string_that_is_marked_elsewhere_looks_missed():
    rome = [("Rome", "place")]
    (finding,) = found(("to Rome", rome), ("in Rome", rome), ("Rome again", []), ("nothing", []))
    assert finding.kind == "label_error"
    assert finding.rows == (2,)
    assert finding.message == "1 string marked elsewhere and left out here: Rome (row 2)"


def test_a_string_that_is_mostly_not_marked_is_no_miss():
    may = [("May", "person")]
    assert not found(("May came", may), ("with May", may), ("in May", []), ("May is warm", []), ("since May", []))


def test_ends_that_waver_are_told():
    (finding,) = found(("the Hague", [("the Hague", "place")]), ("in Hague", [("Hague", "place")]))
    assert finding.kind == "conflict"
    assert finding.message == "spans end now here and now there: Hague / the Hague"


def test_a_longer_name_is_no_wavering_end():
    assert not found(("New York", [("New York", "place")]), ("in York", [("York", "place")]))
