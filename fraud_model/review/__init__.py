"""A challenger beside the champion, and the pull request that proposes it."""
