"""What the service says of itself in OpenAPI is true: requests made from its description, right and wrong ones."""

from __future__ import annotations

import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from handful import api
from handful.export.bundle import Bundle
from handful.run import opened
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.improving import Improvement, Improver
from handful.web.item_answers import ServedModel
from handful.web.item_service import application

pytestmark = pytest.mark.slow
HERE = {"Host": "127.0.0.1"}


@pytest.fixture(scope="module")
def described(tmp_path_factory, part_runs):
    folder = tmp_path_factory.mktemp("runs")
    texts = [f"{word} {i}" for word in ("hill", "hive") for i in range(6)]
    api.tune(api.load(texts, labels=["ants"] * 6 + ["bees"] * 6), backbone="toy-text", budget=0).save(
        folder / "insects"
    )
    shutil.copytree(folder / "insects", folder / "others")
    served = [ServedModel(name, Bundle.load(folder / name)) for name in ("insects", "others")]
    improvers = [Improver(one, folder / one.name, Improvement(learn=one.name == "insects")) for one in served]
    served += [ServedModel(kind, opened(part_runs / f"run_{kind}")) for kind in ("defects", "masks", "boxes")]
    app = application(served, Admission(kinds=BODIES), improvers=improvers)
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=HERE)


def test_every_request_is_answered_as_described(described):
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 18
    for operation in operations:

        @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy())
        def answered(case):
            # What goes together (one item to explain, one text or two by the model) is more than a schema can say.
            case.call_and_validate(headers=HERE, excluded_checks=[positive_data_acceptance])

        answered()
