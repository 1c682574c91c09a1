"""Damaged checkpoints: whatever the bytes, reading gives a state or a DataError."""

from __future__ import annotations

import io
import json
import random

import pytest

import thalweg as tw
from thalweg.errors import DataError

pytest.importorskip("safetensors")
R = random.Random(0)


def good():
    net = tw.nn.Linear(2, 1)
    o = tw.optim.Adam(net.parameters())
    net(tw.ones(1, 2)).sum().backward()
    o.step()
    f = io.BytesIO()
    tw.save(
        {
            "m": net.state_dict(),
            "o": o.state_dict(),
            "l": [1, (2, None, "x")],
            "a.b": tw.ones(2, dtype=tw.int64),
            "a": {"b": tw.tensor(True)},
        },
        f,
    )
    return f.getvalue()


G = good()
n = int.from_bytes(G[:8], "little")
H = json.loads(G[8 : 8 + n])


def pack(h, body):
    b = h if isinstance(h, bytes) else json.dumps(h).encode()
    return len(b).to_bytes(8, "little") + b + body


def damage():
    k = R.randrange(7)
    b = bytearray(G)
    if k == 0:
        for _ in range(R.choice([1, 1, 2, 5, 20])):
            b[R.randrange(len(b))] = R.randrange(256)
    elif k == 1:
        return bytes(b[: R.randrange(len(b))])
    elif k == 2:
        i = R.randrange(len(b))
        j = i + R.randrange(30)
        del b[i:j]
    elif k == 3:
        i = R.randrange(len(b))
        b[i:i] = bytes(R.randrange(256) for _ in range(R.randrange(20)))
    elif k == 4:  # state json damaged
        h = json.loads(json.dumps(H))
        s = list(h["__metadata__"]["state"])
        for _ in range(R.choice([1, 2, 4])):
            i = R.randrange(len(s))
            c = R.choice('[]{}",:0x \\n')
            if R.random() < 0.5:
                s[i] = c
            elif R.random() < 0.5:
                del s[i]
            else:
                s.insert(i, c)
        h["__metadata__"]["state"] = "".join(s)
        return pack(h, G[8 + n :])
    elif k == 5:
        h = json.loads(json.dumps(H))
        t = json.loads(h["__metadata__"]["state"])

        def mut(x):
            if R.random() < 0.06:
                return R.choice(
                    [
                        None,
                        3,
                        "x",
                        [],
                        {},
                        [1],
                        {"tensor": "zzz"},
                        {"dict": 3},
                        {"list": None},
                        {"dict": [[1]]},
                        {"dict": [[[], {"value": 1}]]},
                        {"tensor": [1]},
                        {"ordered": [["a", {"value": 1}]]},
                        {"value": 1, "tensor": 2},
                        1e400,
                        float("nan"),
                    ]
                )
            if isinstance(x, dict):
                return {
                    R.choice(["dict", "list", "tensor", "tuple", "value", "q"]) if R.random() < 0.05 else k: mut(v)
                    for k, v in x.items()
                }
            if isinstance(x, list):
                return [mut(v) for v in x]
            return x

        t = mut(t)
        if R.random() < 0.02:
            s = '{"list":[' * R.choice([900, 5000, 100000])
            h["__metadata__"]["state"] = s
        elif R.random() < 0.02:
            d = R.choice([900, 3000])
            h["__metadata__"]["state"] = '{"list":[' * d + '{"value":1}' + "]}" * d
        else:
            h["__metadata__"]["state"] = json.dumps(t)
        return pack(h, G[8 + n :])
    else:
        h = json.loads(json.dumps(H))
        name = R.choice([k for k in h if k != "__metadata__"])
        what = R.choice(["dtype", "shape", "data_offsets", "drop", "meta", "rename"])
        if what == "dtype":
            h[name]["dtype"] = R.choice(["BF16", "F16", "F8_E4M3", "I8", "U16", "U64", "C64", "BOOL", "X", "F64", 3])
        elif what == "shape":
            h[name]["shape"] = R.choice([[], [10**18], [2**40, 2**40], [-1], "x", [0], [1.5], [2] * 40])
        elif what == "data_offsets":
            h[name]["data_offsets"] = R.choice([[0, 0], [0, 10**12], [5, 1], [], "x"])
        elif what == "drop":
            del h[name]
        elif what == "rename":
            h["z"] = h.pop(name)
        else:
            h["__metadata__"] = R.choice([{}, {"state": ""}, {"state": "null"}, {"state": "3"}, {"x": "y"}])
        return pack(h, G[8 + n :])
    return bytes(b)


def _read(seed, n, path):
    R.seed(seed)
    refused = 0
    for k in range(n):
        data = damage()
        readers = [lambda data=data: tw.load(io.BytesIO(data))]
        if k % 4 == 0:
            path.write_bytes(data)
            readers += [lambda: tw.nn.load(path), lambda: tw.optim.load_state(path)]
        for read in readers:
            try:
                read()
            except DataError:
                refused += 1
    return refused


def test_damaged_files_are_refused_with_one_error(tmp_path):
    assert _read(0, 2000, tmp_path / "file") > 1500


@pytest.mark.slow
def test_very_many_damaged_files(tmp_path):
    assert _read(1, 150_000, tmp_path / "file") > 100_000


def test_the_whole_file_is_read():
    state = tw.load(io.BytesIO(G))
    assert state["l"] == [1, (2, None, "x")]
    assert state["a"]["b"].item() is True
