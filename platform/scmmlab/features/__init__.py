"""From a signal in µV to features: band filters, differential entropy, smoothing, scaling."""

from scmmlab.features.band_filter import band_pass
from scmmlab.features.bands import DEFAULT_BANDS, Bands, check_bands
from scmmlab.features.differential_entropy import FORM, LOG_BASE, UNIT, differential_entropy
from scmmlab.features.extraction import EXTRACTION_VERSION, FeatureSpec, extract_features, kept_windows
from scmmlab.features.scaling import Scaler
from scmmlab.features.smoothing import lds, moving_average

__all__ = [
    "DEFAULT_BANDS",
    "EXTRACTION_VERSION",
    "FORM",
    "LOG_BASE",
    "UNIT",
    "Bands",
    "FeatureSpec",
    "Scaler",
    "band_pass",
    "check_bands",
    "differential_entropy",
    "extract_features",
    "kept_windows",
    "lds",
    "moving_average",
]
