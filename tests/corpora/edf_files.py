"""EDF files for tests: a plain writer, and a way to spoil a field of a header."""

from pathlib import Path

import numpy as np

MAIN_FIELDS = {"version": (0, 8), "header_bytes": (184, 8), "kind": (192, 44), "records": (236, 8),
               "record_seconds": (244, 8), "signals": (252, 4)}  # fmt: skip
SIGNAL_FIELDS = {"label": (0, 16), "unit": (96, 8), "physical_min": (104, 8), "physical_max": (112, 8),
                 "digital_min": (120, 8), "digital_max": (128, 8), "samples": (216, 8)}  # fmt: skip


def write_edf(path: Path, labels, signal_CT, sampling_rate, unit="uV"):
    """Write channels, in µV within ±200, as 1-s data records."""
    count, records = len(labels), signal_CT.shape[1] // sampling_rate

    def texts(values, width):
        return b"".join(str(value).encode("latin-1").ljust(width) for value in values)

    main = texts([0], 8) + texts(["X X X X", "Startdate X X X X"], 80) + texts(["01.01.20", "00.00.00"], 8)
    main += texts([256 * (count + 1)], 8) + texts([""], 44) + texts([records, 1], 8) + texts([count], 4)
    fields = texts(labels, 16) + texts([""] * count, 80) + texts([unit] * count, 8)
    for value in (-200, 200, -32768, 32767):
        fields += texts([value] * count, 8)
    fields += texts([""] * count, 80) + texts([sampling_rate] * count, 8) + texts([""] * count, 32)
    digital = np.round((signal_CT + 200) / 400 * 65535 - 32768).astype("<i2")
    by_record = digital[:, : records * sampling_rate].reshape(count, records, sampling_rate).swapaxes(0, 1)
    path.write_bytes(main + fields + by_record.tobytes())


def field_of(path: Path, field: str, signal: int = 0) -> str:
    """What a field of a signal's header says."""
    data = path.read_bytes()
    offset, width = SIGNAL_FIELDS[field]
    start = 256 + int(data[252:256]) * offset + signal * width
    return data[start : start + width].decode("latin-1")


def spoil(path: Path, field: str, value: str, signal: int = 0):
    """Overwrite a field of the header."""
    data = bytearray(path.read_bytes())
    if field in MAIN_FIELDS:
        start, width = MAIN_FIELDS[field]
    else:
        offset, width = SIGNAL_FIELDS[field]
        start = 256 + int(data[252:256]) * offset + signal * width
    data[start : start + width] = value.encode("latin-1").ljust(width)
    path.write_bytes(data)


def append_signal(source: Path, target: Path, label: str, sampling_rate: int, values=None, physical=(-300, 300)):
    """Copy a file of 1-s data records with another signal, of a sampling rate of its own, before the others."""
    content, record_bytes = source.read_bytes(), 2 * sampling_rate
    count, records = int(content[252:256]), int(content[236:244])
    header_bytes = 256 * (count + 1)
    texts = {"label": label, "unit": "uV", "physical_min": physical[0], "physical_max": physical[1],
             "digital_min": -32768, "digital_max": 32767, "samples": sampling_rate}  # fmt: skip
    starts = {offset: (width, texts[name]) for name, (offset, width) in SIGNAL_FIELDS.items()}
    columns, at = [], 0
    for width in (16, 80, 8, 8, 8, 8, 8, 80, 8, 32):
        column = content[256 + count * at :][: count * width]
        columns.append(str(starts.get(at, (width, ""))[1]).encode().ljust(width) + column)
        at += width
    main = bytearray(content[:256])
    main[184:192], main[252:256] = str(header_bytes + 256).encode().ljust(8), str(count + 1).encode().ljust(4)
    if values is None:
        values = np.random.default_rng(0).integers(-2000, 2000, (records, sampling_rate))
    noise = values.astype("<i2").tobytes()
    own_bytes = (len(content) - header_bytes) // records
    data = b"".join(
        noise[record * record_bytes :][:record_bytes] + content[header_bytes + record * own_bytes :][:own_bytes]
        for record in range(records)
    )
    target.write_bytes(bytes(main) + b"".join(columns) + data)


def date_record(path: Path, record: int, second: int):
    """Let a data record of an EDF+ file say that it began at another second, of as many digits."""
    content = bytearray(path.read_bytes())
    header_bytes, records = int(content[184:192]), int(content[236:244])
    old, new = (f"+{time}".encode() + b"\x14\x14" for time in (record, second))
    at = content.index(old, header_bytes + record * (len(content) - header_bytes) // records)
    content[at : at + len(old)] = new
    path.write_bytes(bytes(content))
