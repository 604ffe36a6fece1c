"""Seldon MLServer with a runtime of its own around the same booster, V2 protocol."""

from __future__ import annotations

import asyncio
import sys

from mlserver import MLModel, MLServer, ModelSettings, Settings  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec, PandasCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]
from mlserver.utils import install_uvloop_event_loop  # type: ignore[import-not-found]

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


def main(http: int, grpc: int, metrics: int) -> None:
    """Serves in this one process: `parallel_workers=1` would add a second and a queue between."""
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=http,
        grpc_port=grpc,
        metrics_port=metrics,
        parallel_workers=0,
    )
    install_uvloop_event_loop()
    model = ModelSettings(name="fraud", implementation=Runtime)

    async def run() -> None:
        await MLServer(settings).start([model])

    asyncio.run(run())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
