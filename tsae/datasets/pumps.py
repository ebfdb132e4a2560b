"""Six simulated pumps, five sensors, five weeks, labelled faults of six kinds: everything is drawn from one seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

SEED = 20240101
N_MACHINES = 6
STEPS_PER_DAY = 144  # one reading every ten minutes
N_DAYS = 35
HEALTHY_DAYS = 21  # faults come only later: everything before may be trained on
REGIMES = ("steady", "filling", "draining", "cycling")
FAULTS = ("bearing_wear", "blocked_inlet", "leak", "stuck_sensor", "hunting", "current_bursts")


def simulate_pumps() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the readings (one row per pump and timestamp) and the list of faults (one row per fault)."""
    rng = np.random.default_rng(SEED)
    readings, faults = [], []
    for number in range(1, N_MACHINES + 1):
        machine = f"pump_{number}"
        table = _healthy_machine(rng)
        listed = _add_faults(table, rng)
        table.insert(0, "machine", machine)
        listed.insert(0, "machine", machine)
        readings.append(table)
        faults.append(listed)
    return pd.concat(readings, ignore_index=True).round(DECIMALS), pd.concat(faults, ignore_index=True)


DECIMALS = {"speed": 1, "current": 2, "pressure": 3, "temperature": 2, "vibration": 3}


def _healthy_machine(rng: np.random.Generator) -> pd.DataFrame:
    """One pump without faults: the speed follows demand and regime, the other sensors follow the speed."""
    n = N_DAYS * STEPS_PER_DAY
    hour = np.arange(n) % STEPS_PER_DAY / 6.0
    regime = _regimes(n, rng)
    demand = 0.12 * np.sin(2 * np.pi * (hour - 8) / 24) + 0.05 * np.sin(4 * np.pi * (hour - 5) / 24)
    speed = 1150 * rng.uniform(0.95, 1.05) * (1 + demand + _duty(regime, rng)) + _slow_noise(n, 0.7, 8.0, rng)
    load = speed / 1450  # affinity laws: pressure goes with the square of the speed, power with its cube
    current = 11 + 27 * load**3 + rng.normal(0, 0.35, n)
    pressure = 0.9 + 4.8 * load**2 + rng.normal(0, 0.04, n)
    ambient = 20 + rng.uniform(-2, 2) + 3 * np.sin(2 * np.pi * (hour - 10) / 24) + _slow_noise(n, 0.98, 0.1, rng)
    temperature = _lag(ambient + 28 * load**3, 10.0) + rng.normal(0, 0.12, n)
    resonance = 0.5 * np.exp(-(((speed - 1210) / 40) ** 2))
    vibration = (0.8 + 1.3 * load**2 + resonance) * np.exp(rng.normal(0, 0.06, n))
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=n, freq="10min"),
            "speed": speed,
            "current": current,
            "pressure": pressure,
            "temperature": temperature,
            "vibration": vibration,
            "regime": regime,
            "fault": 0,
        }
    )


def _regimes(n: int, rng: np.random.Generator) -> np.ndarray:
    """Operating regimes: each lasts one to two days, and is never followed by itself."""
    labels: list[str] = []
    last = ""
    while len(labels) < n:
        last = str(rng.choice([regime for regime in REGIMES if regime != last]))
        labels += [last] * int(rng.integers(STEPS_PER_DAY, 2 * STEPS_PER_DAY))
    return np.array(labels[:n])


def _duty(regime: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share by which the regime moves the speed. Filling is draining played backwards: same values, other order."""
    period = rng.uniform(20, 28)
    phase = (np.arange(len(regime)) / period + rng.uniform()) % 1.0
    shapes = {
        "steady": np.zeros(len(regime)),
        "filling": np.where(phase < 0.85, phase / 0.85, (1 - phase) / 0.15) - 0.5,
        "draining": np.where(phase < 0.15, phase / 0.15, (1 - phase) / 0.85) - 0.5,
        "cycling": np.tanh(6 * np.sin(2 * np.pi * phase)) / 2,
    }
    return 0.18 * np.select([regime == name for name in REGIMES], [shapes[name] for name in REGIMES])


def _slow_noise(n: int, memory: float, scale: float, rng: np.random.Generator) -> np.ndarray:
    """First-order autoregressive noise."""
    noise = rng.normal(0, scale, n)
    for step in range(1, n):
        noise[step] += memory * noise[step - 1]
    return noise


def _lag(target: np.ndarray, steps: float) -> np.ndarray:
    """First-order lag: what a heat capacity does to a temperature."""
    out = target.copy()
    for step in range(1, len(out)):
        out[step] = out[step - 1] + (target[step] - out[step - 1]) / steps
    return out


def _add_faults(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Put four faults of different kinds into the last two weeks, one in each quarter; list them."""
    first = HEALTHY_DAYS * STEPS_PER_DAY
    quarter = (len(table) - first) // 4
    listed = []
    for place, kind in enumerate(rng.permutation(FAULTS)[:4]):
        length = int(rng.integers(*HOURS[kind])) * 6
        start = first + place * quarter + int(rng.integers(6, quarter - length - 6))
        rows = slice(start, start + length)
        _inject(table, str(kind), rows, rng)
        table.iloc[rows, table.columns.get_loc("fault")] = 1
        listed.append({"start": table["time"][start], "end": table["time"][start + length - 1], "kind": kind})
    return pd.DataFrame(listed)


HOURS = {  # shortest and longest duration
    "bearing_wear": (24, 40),
    "blocked_inlet": (6, 12),
    "leak": (8, 16),
    "stuck_sensor": (8, 14),
    "hunting": (5, 10),
    "current_bursts": (3, 6),
}


def _inject(table: pd.DataFrame, kind: str, rows: slice, rng: np.random.Generator) -> None:
    """Change the sensors of `rows` the way this kind of fault does."""
    n = rows.stop - rows.start
    columns = {name: table[name].to_numpy(copy=True) for name in DECIMALS}
    if kind == "bearing_wear":
        columns["vibration"][rows] *= np.linspace(1.1, 2.2, n)
        columns["temperature"][rows] += np.linspace(0.5, 8.0, n)
    elif kind == "blocked_inlet":
        columns["pressure"][rows] *= 0.68
        columns["current"][rows] *= 0.82
    elif kind == "leak":
        columns["pressure"][rows] *= 1 - np.minimum(np.linspace(0, 0.4, n), 0.16)
    elif kind == "stuck_sensor":
        columns["temperature"][rows] = columns["temperature"][rows.start]
    elif kind == "hunting":
        swing = 70 * np.sin(np.pi * np.arange(n) * 0.9)
        load = (columns["speed"][rows] + swing) / columns["speed"][rows]
        columns["speed"][rows] += swing
        columns["current"][rows] = 11 + (columns["current"][rows] - 11) * load**3
        columns["pressure"][rows] = 0.9 + (columns["pressure"][rows] - 0.9) * load**2
    elif kind == "current_bursts":
        columns["current"][rows] += np.where(rng.uniform(size=n) < 0.4, rng.uniform(4, 12, n), 0.0)
    for name, values in columns.items():
        table[name] = values
