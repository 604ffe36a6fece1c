"""Seldon MLServer with a runtime of its own around the same booster, V2 protocol."""

from __future__ import annotations

from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec, PandasCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]

from benchmarks.serving_peers.detector import Detector


class Runtime(MLModel):  # type: ignore[misc]
    """Takes one tensor of raw rows, or one per feature, and answers one of probabilities."""

    async def load(self) -> bool:
        """Reads the model."""
        self._detector = Detector()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Scores the rows of a request."""
        if len(payload.inputs) == 1:
            values = NumpyCodec.decode_input(payload.inputs[0])
        else:
            table = PandasCodec.decode_request(payload)
            values = table[self._detector.features].to_numpy()
        probability = self._detector.probability(values)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("fraud_probability", probability)],
        )
