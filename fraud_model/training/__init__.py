"""From a table of transactions to a registered version."""
