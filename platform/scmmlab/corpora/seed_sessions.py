"""What the readers of SEED and SEED-IV have in common: a MATLAB file a session, a variable a trial."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from scmmlab.corpora.finding import Finding
from scmmlab.corpora.matlab import MatlabFile, open_matlab
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import FeatureOrigin, Reader
from scmmlab.corpora.recording import FeatureRecording, Recording, TrialFeatures, TrialSpan
from scmmlab.corpora.seed_facts import BANDS, CHANNELS, SAMPLING_RATE
from scmmlab.corpora.seed_folder import Dates, SessionFile, identify, require, session_files
from scmmlab.corpora.seed_trials import (
    check_features,
    check_numbers,
    check_prefix,
    check_raw,
    feature_axes,
    numbered,
    read_features,
    read_raw,
)
from scmmlab.errors import CorpusError

LICENCE = "on application to the Center for Brain-like Computing and Machine Intelligence (BCMI); not to be passed on"


def shipped_origin(smoothing: str) -> FeatureOrigin:
    """How the features that the authors ship were made, as far as it is known."""
    return FeatureOrigin(
        origin="shipped",
        feature="differential_entropy",
        unit="not stated",
        log_base="not stated",
        form="as shipped by the authors of SEED; values of about 11 to 27 point to log2 of 100 times the energy of a "
        "short-time Fourier transform",
        facts={"smoothing": smoothing},
    )


class SessionsReader(Reader):
    """Reads one session a file; whose it is, its name tells."""

    dates: ClassVar[Dates]
    """The days of each subject's sessions."""

    source: Literal["features", "raw"] = "features"
    """The features that the authors ship, or the preprocessed signals."""
    smoothing: Literal["lds", "moving_average"] = "lds"
    """Of the shipped features: by a linear dynamical system (de_LDS), or a moving average (de_movingAve)."""

    @property
    def feature_origin(self) -> FeatureOrigin | None:
        """Shipped, unless signals are read."""
        return shipped_origin(self.smoothing) if self.source == "features" else None

    @abstractmethod
    def _folders(self, root: Path) -> Mapping[str, int | None]:
        """The folders to read, and the session that each stands for."""

    @abstractmethod
    def _windows(self, session: int) -> tuple[int | None, ...]:
        """Shipped windows of each trial; None where they are unconfirmed."""

    @abstractmethod
    def _near(self, session: int) -> tuple[float, ...]:
        """Trials' lengths in windows, as far as they are known."""

    @abstractmethod
    def _fits(self, session: int, trial: int, samples: int) -> bool:
        """Whether a raw trial may have so many samples."""

    @abstractmethod
    def _shown_samples(self, session: int) -> tuple[str, ...]:
        """How many it should have, in words."""

    @abstractmethod
    def _labels(self, session: int) -> tuple[int | None, ...]:
        """The label of each trial, as an index into `classes`; None leaves the trial out."""

    @abstractmethod
    def _seconds(self) -> float:
        """Length of a shipped window in s."""

    def _prefix(self, subject: int) -> str | None:
        return None

    def _folder_session(self, file: str) -> int | None:
        return None

    def _label_file(self, folder: str) -> str | None:
        """Where the corpus keeps its labels beside the sessions, if it does; the file need not be there."""
        return None

    def _label_findings(self, root: Path, folder: str) -> Iterator[Finding]:
        yield from ()

    def files(self, root: Path) -> tuple[str, ...]:
        """One file a session of each subject that is there."""
        files, findings = self._inventory(root)
        require(root, findings)
        return tuple(file.path for file in files)

    def companions(self, root: Path) -> tuple[str, ...]:
        """The files of labels that are there."""
        files = [self._label_file(folder) for folder in self._folders(root)]
        return tuple(file for file in files if file is not None and open_below(root, file).is_file())

    def read(self, root: Path, file: str) -> Iterator[Recording | FeatureRecording]:
        """The trials of a session, one in memory at a time."""
        session = self._session(file)
        mat = open_matlab(open_below(root, file))
        names, findings = self._trials(session, mat)
        require(root, findings)
        labels = self._labels(session.session)
        for number, name in names.items():
            label = labels[number - 1]
            if label is None:
                continue
            yield self._recording(mat, session, number, name, label)

    def check(self, root: Path) -> Iterator[Finding]:
        """Names and dates of all files, the labels, and then each file's variables and values."""
        try:
            files, findings = self._inventory(root)
        except CorpusError as error:
            yield Finding.of_error(".", error)
            return
        yield from findings
        for file in files:
            yield from self.check_file(root, file.path)
        if all(finding.ok for finding in findings):
            yield from map(Finding.of_left_out, self.left_out(root))

    def check_file(self, root: Path, file: str) -> Iterator[Finding]:
        """Variables, shapes and types by the header; then the values."""
        session = self._session(file)
        try:
            mat = open_matlab(open_below(root, file))
            names, findings = self._trials(session, mat)
        except CorpusError as error:
            yield Finding.of_error(file, error)
            return
        yield from findings
        if not all(finding.ok for finding in findings):
            return
        try:
            for number, name in names.items():
                self._recording(mat, session, number, name, 0)
        except CorpusError as error:
            yield Finding.of_error(file, error)
        else:
            yield Finding(True, file, "values", "finite numbers", f"{len(names)} trials of them")

    def _inventory(self, root: Path) -> tuple[tuple[SessionFile, ...], list[Finding]]:
        folders = self._folders(root)
        files, findings = session_files(root, folders, self.dates)
        return files, findings + [finding for folder in folders for finding in self._label_findings(root, folder)]

    def _session(self, file: str) -> SessionFile:
        finding, session = identify(file, self._folder_session(file), self.dates)
        assert session is not None, finding
        return session

    def _trials(self, file: SessionFile, mat: MatlabFile) -> tuple[dict[int, str], list[Finding]]:
        """The variable of each trial, and whether they are what they should be."""
        windows = self._windows(file.session)
        if self.source == "features":
            start = {"lds": "de_LDS", "moving_average": "de_movingAve"}[self.smoothing]
            names = numbered(mat, start)
            findings = [check_numbers(file.path, names, len(windows), start)]
            if findings[0].ok:
                findings += check_features(file.path, mat, names, windows, self._near(file.session))
            return names, findings
        names = numbered(mat, ".+_eeg")
        findings = [check_numbers(file.path, names, len(windows), "..._eeg")]
        if findings[0].ok:
            findings.append(check_prefix(file.path, list(names.values()), self._prefix(file.subject)))
            findings += check_raw(
                file.path,
                mat,
                names,
                lambda trial, samples: self._fits(file.session, trial, samples),
                self._shown_samples(file.session),
            )
        return names, findings

    def _recording(
        self, mat: MatlabFile, file: SessionFile, trial: int, name: str, label: int
    ) -> Recording | FeatureRecording:
        if self.source == "features":
            values = read_features(mat, name)
            axes = feature_axes(mat.variables[name].shape)
            turned = axes is not None and axes != (1, 0, 2)
            return FeatureRecording(
                source=str(mat.path),
                subject=file.subject,
                session=file.session,
                channels=CHANNELS,
                bands=BANDS,
                window_s=self._seconds(),
                trials=(TrialFeatures(trial, label, values),),
                notes=(f"{file.path}: {name} has its axes in another order, told by their sizes",) if turned else (),
            )
        signal_CT = read_raw(mat, name)
        # SEED's trials have a sample more than whole seconds; it fills no window
        whole = signal_CT.shape[1] - signal_CT.shape[1] % int(SAMPLING_RATE)
        return Recording(
            source=f"{mat.path}, {name}",
            subject=file.subject,
            session=file.session,
            channels=CHANNELS,
            sampling_rate=SAMPLING_RATE,
            signal=signal_CT,
            trials=(TrialSpan(trial, label, 0, whole),),
        )
