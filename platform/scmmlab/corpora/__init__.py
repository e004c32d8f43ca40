"""One reader per corpus (`registry` has them all), and synthetic corpora."""

from scmmlab.corpora.amplitudes import LARGEST_FACTOR, factor_text, unlike_others
from scmmlab.corpora.finding import Finding, RecordingSummary
from scmmlab.corpora.left_out import LeftOut, summarize
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import FeatureOrigin, Reader
from scmmlab.corpora.recording import FeatureRecording, Recording, TrialFeatures, TrialSpan
from scmmlab.corpora.signal_marks import SignalMarks, same_signals
from scmmlab.corpora.synthetic import SYNTHETIC_VERSION, SyntheticSpec, synthetic_recordings

__all__ = [
    "LARGEST_FACTOR",
    "SYNTHETIC_VERSION",
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
    "same_signals",
    "summarize",
    "synthetic_recordings",
    "unlike_others",
]
