"""BDF files for tests: a plain writer of its own."""

from pathlib import Path

import numpy as np


def write_bdf(path: Path, labels, digital_CT, sampling_rate, *, unit="uV", physical=(-262144, 262144), record_s=1):
    """Write stored numbers of 24 bits, sample by sample as the format's description says."""
    signals = len(labels)
    per_record = sampling_rate * record_s
    records = digital_CT.shape[1] // per_record
    fields = [
        [f"{label:<16}" for label in labels],
        [f"{'':<80}"] * signals,
        [f"{unit:<8}"] * signals,
        [f"{physical[0]:<8}"] * signals,
        [f"{physical[1]:<8}"] * signals,
        [f"{-(2**23):<8}"] * signals,
        [f"{2**23 - 1:<8}"] * signals,
        [f"{'':<80}"] * signals,
        [f"{per_record:<8}"] * signals,
        [f"{'':<32}"] * signals,
    ]
    main = f"{'':<80}{'':<80}01.02.10 03.04.05".replace(" 03", "03")
    main += f"{256 * (signals + 1):<8}{'24BIT':<44}{records:<8}{record_s:<8}{signals:<4}"
    header = b"\xffBIOSEMI" + main.encode() + "".join("".join(field) for field in fields).encode()
    assert len(header) == 256 * (signals + 1)
    # in two's complement: a negative number plus 2^24
    unsigned = np.asarray(digital_CT, np.int32) & 0xFFFFFF
    data = np.empty((records, signals, per_record, 3), np.uint8)
    for byte in range(3):
        data[..., byte] = (
            (unsigned[:, : records * per_record] >> 8 * byte & 0xFF)
            .reshape(signals, records, per_record)
            .transpose(1, 0, 2)
        )
    path.write_bytes(header + data.tobytes())
