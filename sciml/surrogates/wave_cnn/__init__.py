"""Simulators of waves: networks that make frame after frame, of convolutions that may be compressed before training."""

from sciml.surrogates.wave_cnn.evaluation import evaluate_waves
from sciml.surrogates.wave_cnn.fitting import MODEL, WaveFit, train_waves
from sciml.surrogates.wave_cnn.options import WaveOptions
from sciml.surrogates.wave_cnn.run import KIND, WaveRun, load_wave_run

__all__ = ["KIND", "MODEL", "WaveFit", "WaveOptions", "WaveRun", "evaluate_waves", "load_wave_run", "train_waves"]
