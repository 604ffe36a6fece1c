"""One short module for each MLproject entry point: arguments, one call, a report."""
