"""Model versions: which stands where, the gate in front of a stage, and the ledger of moves."""
