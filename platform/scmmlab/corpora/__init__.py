"""One reader per corpus, and synthetic corpora."""

from scmmlab.corpora.amplitudes import LARGEST_FACTOR, factor_text, unlike_others
from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.corpora.eegmat_features import EegmatFeaturesReader
from scmmlab.corpora.finding import Finding, RecordingSummary
from scmmlab.corpora.left_out import LeftOut, summarize
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import FeatureOrigin, Reader
from scmmlab.corpora.recording import FeatureRecording, Recording, TrialFeatures, TrialSpan
from scmmlab.corpora.registry import READERS, reader_class
from scmmlab.corpora.signal_marks import SignalMarks, same_signals
from scmmlab.corpora.synthetic import SYNTHETIC_VERSION, SyntheticSpec, synthetic_recordings

__all__ = [
    "LARGEST_FACTOR",
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
    "RecordingSummary",
    "SignalMarks",
    "SyntheticSpec",
    "TrialFeatures",
    "TrialSpan",
    "factor_text",
    "open_below",
    "reader_class",
    "same_signals",
    "summarize",
    "synthetic_recordings",
    "unlike_others",
]
