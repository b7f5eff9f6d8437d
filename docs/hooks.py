"""Hooks of mkdocs: help of commands from the commands themselves, and the page that needs no server."""

import re
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parent.parent
_HELP = re.compile(r"^<!-- help: (.*) -->$", re.MULTILINE)
_OUTSIDE = re.compile(r"\[([^\]]*)\]\(\.\./([^)]+)\)")


def on_page_markdown(markdown: str, config: dict[str, Any], **_: Any) -> str:
    """Fill in `<!-- help: predict -->`; links to files outside of docs/ go to the repository, if it is known."""
    markdown = _HELP.sub(lambda match: f"```text\n{_help(match[1].split())}\n```", markdown)
    home = config["repo_url"]
    return _OUTSIDE.sub(rf"[\1]({home}/blob/main/\2)" if home else r"\1", markdown)


def _help(names: list[str]) -> str:
    from jointmat.cli.main import cli

    command: Any = cli
    context = click.Context(cli, info_name="jointmat", terminal_width=100)
    for name in names:
        command = command.commands[name]
        context = click.Context(command, info_name=name, parent=context, terminal_width=100)
    return str(command.get_help(context))


def on_post_build(config: dict[str, Any], **_: Any) -> None:
    """Put the page that runs the model in the browser beside the others, if npm has installed the runtime."""
    from export.page import RUNTIME, export_page

    if RUNTIME.is_dir():
        list(export_page("lite", Path(config["site_dir"]) / "demo"))
