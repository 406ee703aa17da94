"""The report: results in, pages, tables and figures out."""
