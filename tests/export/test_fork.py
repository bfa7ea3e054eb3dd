"""A model that was used before its process forks goes on answering in the child."""

import os
import subprocess
import sys

import pytest
from test_bundle import made

from handful.api import tune

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# The child is killed where it waits for threads that are not there.
SCRIPT = """
import os, signal, sys
import torch
from handful.export.bundle import Bundle

torch.set_num_threads(2)

def work():  # large enough that torch shares it between threads
    return float(torch.nn.functional.layer_norm(torch.ones(512, 4096), (4096,)).sum())

model, texts = Bundle.load(sys.argv[1]), ["ants march over the hill", "a wasp stings"] * 40
expected = list(model.predict(texts)), work()
child = os.fork()
if not child:
    signal.alarm(30)
    os._exit(0 if (list(model.predict(texts)), work()) == expected else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def exit_code(folder) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder)]
    return subprocess.run(command, env=environment, timeout=120, check=False).returncode


def test_a_toy_model_answers_after_a_fork(tmp_path):
    made().save(tmp_path / "model")
    assert exit_code(tmp_path / "model") == 0


@pytest.mark.integration
def test_the_default_model_of_texts_answers_after_a_fork(tmp_path):
    rows = [{"text": f"{what} number {i}", "label": what} for i in range(5) for what in ("invoice", "crash")]
    tune(rows, budget=0, backbone="minilm-l6").bundle.save(tmp_path / "model")
    assert exit_code(tmp_path / "model") == 0
