"""``python -m sam2_core COMMAND ...``: finds the command, and turns whatever goes wrong into one line.

Exit status: 0 done, 1 stopped before the end, 2 something is wrong with the input.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import NoReturn

from sam2_core.errors import Cancelled, Sam2Error

_PROGRAM = "python -m sam2_core"
_DISTRIBUTION = "masklet-studio"


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand; its module has ``add_arguments(parser)`` and ``run(args) -> int``, and is imported when used."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("track", "sam2_core.cli.track", "segment objects and track them through a video, picture or folder"),
    Command("train", "sam2_core.cli.train", "train a model from nothing, or fine-tune one"),
    Command("evaluate", "sam2_core.cli.evaluate", "score a model, or anyone's masks, against masks that are known"),
)


class _Parser(argparse.ArgumentParser):
    """Like its base, but an error is one line and not the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, _line(f"{self.prog}: error: {message}; {self.prog} --help explains"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, that of the process by default; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(arguments)
    except Cancelled as stopped:
        sys.stderr.write(_line(str(stopped)))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(_line("stopped before anything was written."))
        return 1
    except Sam2Error as error:
        sys.stderr.write(_line(f"{_PROGRAM} {arguments[0]}: error: {error}"))
        return 2


def _run(arguments: Sequence[str]) -> int:
    parser = _parser(arguments[0] if arguments else None)
    if not arguments:
        parser.print_help()
        return 0
    args = parser.parse_args(arguments)
    status: int = args.execute_command(args)
    return status


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """A parser that knows every command by name, and the chosen one in full."""
    parser = _Parser(prog=_PROGRAM, description="Promptable segmentation of pictures and videos.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = commands.add_parser(command.name, help=command.summary, allow_abbrev=False)
        if command.name == chosen:
            module = importlib.import_module(command.module)
            module.add_arguments(subparser)
            subparser.set_defaults(execute_command=module.run)  # train has an option called --run
    return parser


def _version() -> str:
    try:
        return f"{_DISTRIBUTION} {metadata.version(_DISTRIBUTION)}, PyTorch {metadata.version('torch')}"
    except metadata.PackageNotFoundError:  # run from a folder that was only copied
        return f"{_DISTRIBUTION}, not installed"


def _line(message: str) -> str:
    """One line of what a terminal can show: names of files may hold anything."""
    return "".join(character if character.isprintable() else " " for character in message) + "\n"


if __name__ == "__main__":
    # A scheduler that ends the job gets the same care as Ctrl-C: what is finished is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
