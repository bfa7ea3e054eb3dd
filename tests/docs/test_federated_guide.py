"""The how-to of federated fits is gone through as its reader would, every terminal a process, on examples that ship."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys

import pytest

FENCE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
AS_COMMAND = "import sys; sys.argv[0] = 'handful'; from handful.cli import main; main()"


def commands(text):
    """What the page says to type at a console, in order."""
    return [line.removeprefix("$ ") for body in FENCE.findall(text) for line in body.splitlines()]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.mark.slow
def test_the_page_can_be_followed(root, tmp_path):
    typed = commands((root / "docs" / "how-to" / "federated.md").read_text("utf-8"))
    shutil.copytree(root / "examples", tmp_path / "examples")
    env, port, waiting = dict(os.environ), free_port(), []

    def started(words, *more):
        line = [sys.executable, "-c", AS_COMMAND, *words, *more]
        return subprocess.Popen(
            line, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finished():
        outs = []
        while waiting:
            with waiting.pop() as process:
                outs.append(process.communicate(timeout=240)[0])
                assert process.returncode == 0, outs[-1]
        return outs

    for command in typed:
        words = shlex.split(command.replace("8470", port))
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            env[name] = value
        elif words[:3] == ["handful", "federated", "coordinator"]:
            waiting.append(started(words[1:], "--port", port, "--backbone", "toy-text"))
        elif words[:2] == ["handful", "federated"]:
            waiting.append(started(words[1:]))
        elif words[0] == "handful":
            said = "".join(finished())
            with started(words[1:]) as process:
                out = process.communicate(timeout=240)[0]
            assert process.returncode in ((0, 3) if words[1] == "check" else (0,)), out
            assert said == "" or ("of 3 sites" in said and said.count("none of them an item") == 3)
        else:
            subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "answers.csv").is_file()
    assert (tmp_path / "runs" / "together" / "federated.json").is_file()
    assert sum(command.startswith("handful federated site") for command in typed) == 3
