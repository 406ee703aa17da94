"""A suite's scores in the units of the sources, folded."""

from benchmark.evaluation.results import Results
from benchmark.reporting.html.markup import Markup, details, element, plain_table, sentence
from benchmark.reporting.protocol_tables import (
    EXPLANATION,
    HEADS,
    PRINTED,
    TITLE,
    WARNING,
    protocol_rows,
)


def protocols_section(results: Results) -> Markup:
    """Return our scores as each source counts them, and the sources' own figures."""
    found = protocol_rows(results)
    parts = [
        element("p", sentence(EXPLANATION), class_="notes"),
        plain_table(TITLE, HEADS, found.rows),
        *(element("p", sentence(gap), class_="notes") for gap in found.gaps),
    ]
    if found.printed:
        table = plain_table("What the sources print", PRINTED, found.printed, len(PRINTED))
        parts += [element("p", WARNING, class_="notes"), table]
    return details(TITLE, *parts)
