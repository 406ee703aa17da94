"""Text that looks like markup, and a checkout that has it wherever a user can put text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmark.core import paths
from benchmark.reporting.readme import END, START
from tests.support.report_tree import BAD, GOOD, Checkout

ATTACKS = (
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "]]><!--",
    "</script><script>alert(2)</script>",
    "</title></svg><svg onload=alert(6)>",
    "</style><b>",
    "javascript:alert(5)",
    "$style ${style} &lt;b&gt; \u202e",
)
"""Text that would be a script, or end an element, of HTML."""
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</details><b>bold",
    "[click](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "[x]: http://example.org",
    "<http://example.org>",
    "`code` and ``more` of it",
    "```python",
    "a | b | c",
    "| --- |",
    "\\| a \\",
    "**bold** __bold__ *it* _it_ ~~no~~",
    "# heading",
    "- entry",
    "+ entry",
    "* entry",
    "1. entry",
    "2) entry",
    "---",
    "- - -",
    "===",
    "> quote",
    "a\n\n## b\n\n| c | d |\n| --- | --- |",
    "a\r\nb\u2028c\u0085d",
    "\tcode",
    "    code",
    f"{END}{START}",
    "&lt;b&gt; &amp; &#42;",
    "$x^2$ \\[x\\] \\(y\\)",
    "\\input{/etc/passwd} \\write18{ls} \\def\\a{",
    "50 % & more #1 ~ ^ --- ?` !` << >>",
    "=1+1",
    "+1+1",
    "-1+1|cmd",
    "@SUM(A1:A9)",
    "'=1",
    "\x1b[31mred\x1b[0m\x07\x08",
    "\u202egnp.exe\u202c",
    "a\u200bb\u00a0c\ufeff",
    *ATTACKS,
]
"""What looks like markup, a formula or a command somewhere."""


def write_yaml(path: Path, changes: dict[str, Any]) -> None:
    """Change some entries of a YAML file."""
    yaml = YAML(typ="safe", pure=True)
    content = yaml.load(path.read_text(encoding="utf-8")) | changes
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def hostile_checkout(root: Path, texts: Sequence[str]) -> Checkout:
    """Make a checkout whose title, description, label, origin, reason and author are these."""
    title, description, label, origin, reason, who = texts
    gpu = {"gpu": origin}
    made = Checkout(root, {"l2": GOOD, "binary": BAD}, [label, "b", label, "b"], environment=gpu)
    write_yaml(root / paths.SUITES / "tiny.yaml", {"title": title, "description": description})
    for name in ("l2", "binary"):
        write_yaml(root / paths.VARIANTS / f"{name}.yaml", {"title": title, "origin": origin})
    source = {"who": who, "origin": "author", "where": reason, "quote": who}
    better = {"metric": "psnr_h", "variant": "l2", "than": "binary"}
    claim = source | {"claim": title, "better": [better]}
    untestable = source | {"claim": origin, "better": [better | {"metric": "lpips_alex"}]}
    (root / paths.CLAIMS).unlink()
    with (root / paths.CLAIMS).open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"claims": {"a": claim, "b": untestable}}, file)
    for name, values in (("l2", GOOD), ("binary", BAD)):
        run = paths.Run("tiny", name, 0)
        facts = {"checkpoint": "last", "epoch": 2, "missing": {"lpips_alex": reason}}
        made.write_scores(run.scores, run.metrics, made.score_table(name, 0, values), facts)
    return made
