"""Where the runs of a suite come from: code, configuration, data and machines."""

from benchmark.evaluation.results import Results
from benchmark.reporting.html.markup import Markup, element, plain_table
from benchmark.reporting.provenance import HEADS, provenance_rows


def origins_table(results: Results) -> list[Markup]:
    """Return the table of origins of a suite's runs, and the machines below it."""
    rows, machines = provenance_rows(results.origins, results.suite.training.deterministic)
    table = plain_table("Where the runs come from", HEADS, rows, text_columns=len(HEADS))
    note = element("p", element("a", "What the classes are", href="#classes"), ". Machines:")
    return [table, note, element("ol", *(element("li", machine) for machine in machines))]
