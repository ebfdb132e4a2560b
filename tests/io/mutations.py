"""Model files gone bad: by accident (bytes) and by design (a valid zip with forged content)."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tsae.io import archive as persistence


def parts_of(data: bytes) -> tuple[dict, dict[str, bytes]]:
    """Manifest, and the other members as bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("manifest.json")), members


def signed(manifest: dict, members: dict[str, bytes]) -> bytes:
    """A model file of these members with all checksums right, as an attacker would make it."""
    checksums = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()
    }
    manifest = {**manifest, "members": checksums, "model_id": persistence._model_id(checksums)}
    return zipped({"manifest.json": json.dumps(manifest).encode(), **members})


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return file.getvalue()


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=allow_pickle)
    return file.getvalue()


def npy_claiming(shape: tuple, dtype: str = "<f4", data: bytes = b"") -> bytes:
    """A .npy file whose header does not fit its data."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def with_state(data: bytes, edit: Callable[[dict], Any]) -> bytes:
    """The file with its state edited in place (or replaced by what `edit` returns), signed again."""
    manifest, members = parts_of(data)
    state = json.loads(members["state.json"])
    state = edit(state) or state
    return signed(
        {**manifest, "kind": state.get("$object", manifest["kind"])},
        {**members, "state.json": json.dumps(state).encode()},
    )


def with_member(data: bytes, name: str, content: bytes) -> bytes:
    manifest, members = parts_of(data)
    return signed(manifest, {**members, name: content})


class Mark:
    """Unpickling this creates a file."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def pickled_array(path: str) -> bytes:
    """A .npy array of objects that, when unpickled, creates a file at `path`."""
    return npy(np.array([Mark(path)], dtype=object), allow_pickle=True)


def pickled(path: str) -> bytes:
    return pickle.dumps(Mark(path))


# -- accidents -------------------------------------------------------------------------------------------------------


def damaged(data: bytes, n_files: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Kind and bytes of `n_files` damaged copies of a file."""
    kinds = list(_DAMAGES)
    for i in range(n_files):
        kind = kinds[i % len(kinds)]
        yield kind, bytes(_DAMAGES[kind](data, rng))


def _one_bit(data: bytes, rng: np.random.Generator) -> bytearray:
    made = bytearray(data)
    made[rng.integers(len(made))] ^= 1 << int(rng.integers(8))
    return made


def _one_byte_of_directory(data: bytes, rng: np.random.Generator) -> bytearray:
    made = bytearray(data)
    made[rng.integers(data.index(b"PK\x01\x02"), len(made))] = int(rng.integers(256))
    return made


def _truncated(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def _hole(data: bytes, rng: np.random.Generator) -> bytes:
    first, last = np.sort(rng.integers(len(data), size=2))
    return data[:first] + data[last + 1 :]


def _zeroed(data: bytes, rng: np.random.Generator) -> bytes:
    first = int(rng.integers(len(data)))
    count = min(int(rng.integers(1, 512)), len(data) - first)
    return data[:first] + bytes(count) + data[first + count :]


def _repeated(data: bytes, rng: np.random.Generator) -> bytes:
    first, last = np.sort(rng.integers(len(data), size=2))
    return data[:last] + data[first:last] + data[last:]


def _scattered(data: bytes, rng: np.random.Generator) -> bytearray:
    made = bytearray(data)
    for position in rng.integers(len(made), size=int(rng.integers(2, 40))):
        made[position] = int(rng.integers(256))
    return made


_DAMAGES = {
    "one bit flipped": _one_bit, "one byte of the zip's directory": _one_byte_of_directory, "truncated": _truncated,
    "a piece missing": _hole, "a piece zeroed": _zeroed, "a piece twice": _repeated, "many bytes changed": _scattered,
}  # fmt: skip


# -- forgeries -------------------------------------------------------------------------------------------------------

_ODD_VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 7, 10**6, 10**12, 10**30, 0.5, -1e300, "", "x", "__class__", "LSTMAutoencoder", "../../x",
    [], [1], {}, {"$array": 0}, {"$array": -1}, {"$array": 10**9}, {"$object": "os.system", "state": {}},
    {"$object": "ChannelScaler", "state": {}}, {"$tuple": [1, 2]}, {"$float": "nan"}, {"$float": "x"},
    {"$scalar": ["object", 1]}, {"$optimizer": {"name": "Adam", "settings": {}}}, {"$frame": [["a", {"$array": 0}]]},
    {"$items": [[[], 1]]}, {"$generator": {"bit_generator": "seed"}}, {"$objects": {"shape": [10**9], "values": []}},
]  # fmt: skip


def forged(data: bytes, n_files: int, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Kind and bytes of `n_files` copies with one to three odd changes in content and every checksum right."""
    manifest, members = parts_of(data)
    kinds = list(_FORGERIES)
    for i in range(n_files):
        kind = kinds[i % len(kinds)]
        state, changed = json.loads(members["state.json"]), dict(members)
        for _ in range(int(rng.integers(1, 4))):
            _FORGERIES[kind](state, changed, rng)
        changed["state.json"] = json.dumps(state).encode()
        yield kind, signed({**manifest, "kind": state.get("$object", manifest["kind"])}, changed)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found = [(tree, key) for key in (tree if isinstance(tree, dict) else range(len(tree)))]
    for container, key in list(found):
        if isinstance(container[key], (dict, list)):
            found += _places(container[key])
    return found


def _odd_value(state: dict, members: dict, rng: np.random.Generator) -> None:
    places = _places(state)
    container, key = places[rng.integers(len(places))]
    container[key] = copy.deepcopy(_ODD_VALUES[rng.integers(len(_ODD_VALUES))])


def _without_key(state: dict, members: dict, rng: np.random.Generator) -> None:
    places = _places(state)
    if places:
        container, key = places[rng.integers(len(places))]
        del container[key]


def _moved_value(state: dict, members: dict, rng: np.random.Generator) -> None:
    places = _places(state)
    (here, a), (there, b) = (places[i] for i in rng.integers(len(places), size=2))
    here[a] = copy.deepcopy(there[b])


def _other_array(state: dict, members: dict, rng: np.random.Generator) -> None:
    arrays = [name for name in members if name.startswith("arrays/")]
    name = arrays[rng.integers(len(arrays))]
    shape = tuple(int(n) for n in rng.integers(0, 5, size=rng.integers(0, 4)))
    dtype = ["float32", "float64", "int64", "bool", "U3", "M8[ns]"][rng.integers(6)]
    choices = [
        npy(np.zeros(shape, dtype)),
        npy_claiming(tuple(int(n) for n in rng.integers(0, 2**40, size=2)), data=b"1234"),
        npy_claiming((-1,), data=b"1234"),
        npy_claiming((1,), "|O", b"\x80\x04N."),
        members[arrays[rng.integers(len(arrays))]],
        members[name][: rng.integers(len(members[name]))],
    ]
    members[name] = choices[rng.integers(len(choices))]


_FORGERIES = {
    "an odd value": _odd_value, "a key missing": _without_key, "a value moved": _moved_value,
    "another array": _other_array,
}  # fmt: skip
