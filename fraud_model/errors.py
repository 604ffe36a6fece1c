"""The errors that this project raises on purpose, as one small hierarchy.

FraudModelError
├── ParameterError        an entry point parameter that cannot be used
├── DataError             a table, log or labels that cannot be used
│   ├── DownloadError     a file that could not be fetched whole and unchanged
│   └── NothingThere      an address at which an object store holds nothing
├── NotInstalled          a package that only some entry points need
├── TrainingError         a model that is no better than a plain baseline
│   └── ClusterError      a Dask cluster that cannot be used, or loses a worker
├── TrackingError         a tracking store that does not answer
├── TrackingRefused       a tracking store that lets nobody in
├── RegistryError         a model version, stage or alias that does not exist
│   ├── FilesGone         a version whose files are gone from the artifact store
│   ├── ModelFailed       a model that does not load or score
│   ├── CodeChanged       a version whose code is not the code it was trained with
│   ├── PromotionRefused  a challenger that the gate rejected
│   └── Overtaken         a version that another command replaced before the move ended
├── ImageError            an image that cannot be built, run, or trusted
├── SpaceError            a Space that cannot be written to, or does not come up
└── GitHubError           what git or GitHub refuses

Each message is one readable paragraph: what is wrong, where, and how to fix it.
Anything else that is raised is a bug and keeps its traceback.
"""


class FraudModelError(Exception):
    """An error meant for a person; entry points print it as one line and exit with status 1."""


class ParameterError(FraudModelError):
    """An entry point parameter that cannot be used."""


class DataError(FraudModelError):
    """A table, an audit log or labels that cannot be used."""


class DownloadError(DataError):
    """A file that could not be fetched whole and unchanged."""


class NothingThere(DataError):
    """An address at which an object store holds nothing."""


class NotInstalled(FraudModelError):
    """A package that this entry point needs and most do not."""


class TrainingError(FraudModelError):
    """A model that is no better than a plain baseline."""


class ClusterError(TrainingError):
    """A Dask cluster that cannot be reached or used, or that loses what a fit needs."""


class TrackingError(FraudModelError):
    """A tracking store that does not answer."""


class TrackingRefused(FraudModelError):
    """A tracking store that lets nobody in, or that this environment cannot ask."""


class RegistryError(FraudModelError):
    """A model version, stage or alias that does not exist."""


class FilesGone(RegistryError):
    """A version whose files are gone from the artifact store."""


class ModelFailed(RegistryError):
    """A model that does not load, or fails on the transactions that it is asked to score."""


class CodeChanged(RegistryError):
    """A version whose code is not the code that it was trained with."""


class PromotionRefused(RegistryError):
    """A challenger that the gate rejected."""


class Overtaken(RegistryError):
    """A version that was moved, and that another command replaced before the move ended."""


class ImageError(FraudModelError):
    """An image that cannot be built or run, or does not answer as its model does."""


class SpaceError(FraudModelError):
    """A Space that cannot be written to, or does not come up with what was sent."""


class GitHubError(FraudModelError):
    """What git or GitHub refuses, or GitHub out of reach."""
