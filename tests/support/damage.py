"""What disks and people do to files."""

import collections

from lowlight_lib.errors import LowlightError


def mutated(data, rng, most):
    """1 to `most` of: another byte, another bit, another number, a repeated part, a cut."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, most))):
        i = int(rng.integers(min(len(data), 1200)))  # headers, mostly
        match int(rng.integers(5)):
            case 0:
                data[i] = int(rng.integers(256))
            case 1:
                data[i] ^= 1 << int(rng.integers(8))
            case 2:
                data[i : i + 4] = int(rng.integers(2**32)).to_bytes(4, "little")
            case 3:
                data[i : i + 12] = data[i + 12 : i + 24]
            case _:
                del data[int(rng.integers(len(data))) :]
        data = data or bytearray(b"II")
    return bytes(data)


def outcomes(read, path, whole, count, rng):
    """How often a reader gave "own error" or a "result" of damaged copies of a file's bytes.

    Any other exception passes through, with what was read still there.
    """
    found = collections.Counter()
    for _ in range(count):
        path.write_bytes(mutated(whole, rng, 6))
        try:
            read(path)
            found["result"] += 1
        except LowlightError:
            found["own error"] += 1
    return found
