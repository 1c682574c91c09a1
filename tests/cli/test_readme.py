"""What README and the pages on race and trace show is what comes out."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_example_prints_what_its_comments_say():
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    shown = [line.split("#", 1)[1].strip() for line in code.splitlines() if "#" in line]
    assert [line.strip() for line in out.getvalue().splitlines()] == shown


def examples():
    text = (ROOT / "docs" / "trace.md").read_text().replace("\\\n", "")
    for block in re.findall(r"```\n\$ (thalweg trace .*?)```", text, re.S):
        command, *printed = block.splitlines()
        yield pytest.param(command, [line for line in printed if line.startswith("epoch")], id=command[14:40])


@pytest.mark.parametrize(("command", "printed"), list(examples()))
def test_traces_end_as_the_page_says(command, printed, capsys):
    pytest.importorskip("click")
    from thalweg.cli import main

    arguments = shlex.split(command)[1:]
    if "--out" in arguments:
        at = arguments.index("--out")
        del arguments[at : at + 2]
    with pytest.raises(SystemExit):
        main([*arguments, "--no-picture"])
    assert capsys.readouterr().out.splitlines() == printed
