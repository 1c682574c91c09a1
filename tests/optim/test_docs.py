"""The examples of the documentation run and print what they say."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["optimizers.md", "add-a-method.md"])
def test_examples(page):
    text = (DOCS / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        assert len(block.splitlines()) < 50
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, page, "exec"), {})
        promised = [m.group(1) for m in re.finditer(r"print\(.*\)\s+# ([^\n]*)", block)]
        for line, comment in zip(out.getvalue().splitlines(), promised, strict=True):
            assert comment.startswith(line), (line, comment)
