"""docs/engine.md, docs/cluster.md and compose.yaml: what stands in them is what is run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands.serve import parser

ROOT = Path(__file__).parents[3]
CLIENTS = ROOT / "scripts" / "interop_clients"
SNIPPETS = re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", (ROOT / "docs" / "engine.md").read_text("utf-8"), re.DOTALL)


def test_there_is_a_snippet_for_every_client() -> None:
    programs = {path.name for path in CLIENTS.iterdir() if path.suffix in (".py", ".mjs")} - {"common.py"}
    assert {name for name, _ in SNIPPETS} == programs


@pytest.mark.parametrize(("name", "snippet"), SNIPPETS)
def test_snippets_are_lines_of_what_scripts_interop_runs(name: str, snippet: str) -> None:
    program = (CLIENTS / name).read_text("utf-8").splitlines()
    assert [line for line in snippet.splitlines() if line not in program] == []


def test_the_versions_in_the_tables_are_those_that_are_run() -> None:
    pinned = (ROOT / "scripts" / "interop").read_text("utf-8")
    named = re.findall(r"^\| ([@\w/-]+) (\d[\d.]*)", (ROOT / "docs" / "engine.md").read_text("utf-8"), re.MULTILINE)
    assert len(named) == 12
    for name, version in named:
        assert re.search(rf"{name}(\[[\w,]+\])?(==|@){re.escape(version)}(\.|\")", pinned), (name, version)


def test_the_options_in_compose_yaml_are_the_engines() -> None:
    text = (ROOT / "compose.yaml").read_text("utf-8")
    found = re.search(r"command: (\[.*?\])", text, re.DOTALL)
    assert found is not None
    options = parser().parse_args(json.loads(found.group(1))[1:])
    assert (options.port, options.max_clients, options.tls_self) == (8970, 4, Path("/data/tls"))
    assert f'ports: ["{options.port}:{options.port}"]' in text


def test_the_commands_in_the_docs_are_understood() -> None:
    for name in ("engine.md", "cluster.md"):
        for line in re.findall(
            r"^python main.py engine (.*)$", (ROOT / "docs" / name).read_text("utf-8"), re.MULTILINE
        ):
            parser().parse_args(line.split())
