"""Large requests, which a worker scores in a process that it can end."""
