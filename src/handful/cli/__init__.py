"""The command line: commands, flags, progress bars and exit codes."""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import NoReturn

import cyclopts
from cyclopts import App

from handful.cli.adapting import adapt
from handful.cli.answering import predict
from handful.cli.ending import drop_output, heed_signals, leave_interrupted, memory_ran_out, ready_streams
from handful.cli.exporting import export
from handful.cli.federating import federated
from handful.cli.labelling import label
from handful.cli.language import chat
from handful.cli.learning import inspect, tune
from handful.cli.printing import log_to_terminal, put
from handful.cli.result import report
from handful.cli.room import check_room
from handful.cli.serving import serve
from handful.cli.trust import check, explain
from handful.cli.updating import update, versions
from handful.cli.usage import told
from handful.cli.weights import models
from handful.data.cells import shown
from handful.errors import HandfulError

FAILED, USAGE = 1, 2

app = App(
    name="handful",
    help="Fine-tune a pre-trained model from a handful of examples, and be told the truth about the result.",
    version_flags=["--version", "-V"],
    help_flags=["--help", "-h"],
    suppress_keyboard_interrupt=False,  # main() says what an interruption leaves
)
for command in (
    tune, inspect, predict, export, report, models, adapt, chat, label, serve, explain, check, update, versions,
    federated,
):  # fmt: skip
    app.command(command)
app.register_install_completion_command(help="Let the shell (bash, zsh, fish or PowerShell) complete commands.")


def main() -> NoReturn:
    """Run the command line and exit.

    0: done; 1: a HandfulError; 2: wrong usage; 3: look at it (check); 130: interrupted; 143: terminated.
    """
    # Torch's waiting threads spin for some microseconds and then sleep. Where they never spin, trainings on an idle
    # machine take a quarter longer; where they spin on, those on a busy one take twice as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Imports make a million objects that stay: looking through them for garbage again and again takes half a second.
    gc.set_threshold(100_000, 50, 50)
    ready_streams()
    log_to_terminal()
    try:
        heed_signals()
        check_room(sys.argv[1:])
        # Without this the library would exit before what is left of the output is written.
        app(sys.argv[1:], exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except HandfulError as error:
        _leave("\n".join(shown(str(said)) for said in error.args), FAILED)
    except cyclopts.CycloptsError as error:
        _leave(told(error, sys.argv[1:]), USAGE)
    except KeyboardInterrupt as interruption:
        leave_interrupted(interruption)
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        drop_output()
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            drop_output()
            _leave("the disk is full. Free some space, or send the output to another place.", FAILED)
        if not memory_ran_out(error):
            raise
        _leave(
            "memory ran out: the machine, or the limit set for this process (ulimit -v), has not enough for this. "
            "Close other programs, raise the limit, or choose a smaller backbone.",
            FAILED,
        )
    sys.exit(0)


def _leave(message: str, code: int) -> NoReturn:
    put(f"handful: {message}", sys.stderr)
    sys.exit(code)
