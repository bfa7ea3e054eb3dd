"""Marked texts on the page: right, missed and wrong spans on the text itself."""

from handful.report.span_marks import Piece, pieces


def test_a_text_is_cut_where_spans_begin_and_end():
    found = pieces(
        "Ada met Grace in Paris", '[[0, 3, "person"], [8, 13, "person"]]', '[[0, 3, "person"], [17, 22, "place"]]'
    )
    assert found == (
        Piece("Ada", "right", "person"),
        Piece(" met "),
        Piece("Grace", "missed", "person"),
        Piece(" in "),
        Piece("Paris", "wrong", "place"),
    )


def test_of_spans_that_overlap_what_is_wanted_is_drawn():
    found = pieces("in New York", '[[3, 11, "place"]]', '[[7, 11, "name"]]')
    assert found == (Piece("in "), Piece("New York", "missed", "place, answered name"))
