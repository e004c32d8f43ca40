"""One reader per corpus, and synthetic corpora."""

from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.corpora.eegmat_features import EegmatFeaturesReader
from scmmlab.corpora.finding import Finding, Whose
from scmmlab.corpora.left_out import LeftOut
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import FeatureOrigin, Reader
from scmmlab.corpora.recording import FeatureRecording, Recording, TrialFeatures, TrialSpan
from scmmlab.corpora.registry import READERS, reader_class
from scmmlab.corpora.signal_marks import SignalMarks, same_signals
from scmmlab.corpora.synthetic import SYNTHETIC_VERSION, SyntheticSpec, synthetic_recordings

__all__ = [
    "READERS",
    "SYNTHETIC_VERSION",
    "EegmatFeaturesReader",
    "EegmatReader",
    "FeatureOrigin",
    "FeatureRecording",
    "Finding",
    "LeftOut",
    "Reader",
    "Recording",
    "SignalMarks",
    "SyntheticSpec",
    "TrialFeatures",
    "TrialSpan",
    "Whose",
    "open_below",
    "reader_class",
    "same_signals",
    "synthetic_recordings",
]
