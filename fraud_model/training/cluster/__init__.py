"""Boosters fitted and rows scored on the workers of a Dask cluster; needs the extra `dask`."""
