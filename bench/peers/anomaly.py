#!/usr/bin/env python3
"""The learned score in Python: `anomaly.py SERIES.csv TIMES` measures, `anomaly.py --check VECTOR.csv...` compares.

A series has `t,x` on each line, `t` in seconds since the epoch. Printed as JSON: the CPU seconds of each run over the series, after
a warm-up run, the places of alarms, and the sum of all scores. The start of the interpreter is not included. A vector has
`t,x,score`; scores must be equal to 1e-12. The algorithm is described in `shared/src/anomaly/score.rs`.
"""

import json
import math
import sys
import time

ALARM, SILENCE, WARM_UP, LEVELS = 0.26, 100, 100, 25
# The weight of each view, and which of them need a profile of the day.
WEIGHTS = (1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 0.7, 1, 0.7)
OF_DAY = range(7, 10)
OF_ORDER = 10


class Side:
    """The greatest eight peaks of a view, the greatest first."""

    def __init__(self):
        self.peaks, self.latest, self.open_until = [], 0, 0

    def ordinary(self, rank):
        below = int(rank)
        last = len(self.peaks) - 1
        if below >= last:
            return self.peaks[last]
        low, high = self.peaks[below], self.peaks[below + 1]
        return low + (high - low) * (rank - below)

    def learn(self, value, count):
        peaks = self.peaks
        if len(peaks) == 8 and value <= peaks[7]:
            return
        if count < self.open_until:
            if value <= peaks[self.latest]:
                return
            peaks.pop(self.latest)
        else:
            self.open_until = count + 3
        place = sum(peak >= value for peak in peaks)
        peaks.insert(place, value)
        self.latest = place
        del peaks[8:]


class View:
    def __init__(self):
        self.count, self.mean, self.high, self.low = 0, 0.0, Side(), Side()

    def score(self, value):
        beyond = 0.0
        if self.count >= WARM_UP:
            rank = min(1 / 500 * (self.count - 1), 7)
            least = 1e-9 * abs(self.mean)
            for side, turned, mean in (self.high, value, self.mean), (self.low, -value, -self.mean):
                ordinary = side.ordinary(rank)
                beyond = max(beyond, (turned - ordinary) / (max(ordinary - mean, 0.0) + least + 1e-12))
        self.count += 1
        self.mean += (value - self.mean) * max(1 / self.count, 1 / 5000)
        for side, turned, mean in (self.high, value, self.mean), (self.low, -value, -self.mean):
            if self.count % 64 == 0:
                side.peaks = [p - (p - mean) * (64 / 50_000) if p > mean else p for p in side.peaks]
            side.learn(turned, self.count)
        return beyond


class Rows:
    """Counts of levels by context."""

    def __init__(self, contexts):
        self.rows = [[0] * LEVELS for _ in range(contexts)]

    def rarity(self, context, level, share):
        row = self.rows[context]
        total = sum(row)
        found = -math.log((row[level] + 2 * share) / (total + 2))
        row[level] += 1
        if total == 250:
            row[:] = [(count + 1) // 2 for count in row]
        return found


class Order:
    def __init__(self, values):
        values = sorted(values)
        self.centre = values[len(values) // 2]
        distance = sum(abs(value - self.centre) for value in values) / len(values)
        self.unit = distance + 1e-9 * abs(self.centre) + 1e-12
        self.after, self.at_hour, self.shares = Rows(LEVELS), Rows(24), [0] * LEVELS
        self.before, self.smooth = None, 0.0

    def values(self, hour, value):
        level = math.floor(math.asinh(1.5 * (value - self.centre) / self.unit) / 0.5 + 0.5) + 12
        level = min(max(level, 0), LEVELS - 1)
        total = sum(self.shares)
        share = (self.shares[level] + 1 / LEVELS) / (total + 1)
        step = self.after.rarity(level if self.before is None else self.before, level, share)
        at_hour = self.at_hour.rarity(hour, level, share)
        self.shares[level] += 1
        if total == 2000:
            self.shares = [(count + 1) // 2 for count in self.shares]
        self.smooth = step if self.before is None else self.smooth + (step - self.smooth) / 4
        self.before = level
        return step, self.smooth, at_hour


class Detector:
    def __init__(self):
        self.seen, self.views = 0, [View() for _ in WEIGHTS]
        self.means = [0.0] * 5
        self.near = self.far = self.departure = self.square = 0.0
        self.hours = [[0, 0.0] for _ in range(24)]
        self.error_without = self.error_with = self.rest_8 = self.rest_16 = 0.0
        self.held, self.order = [], None
        self.worst, self.age = 0.0, 0

    def levels(self, hour, x):
        """The values of the views without the order of levels, and whether the profile of the day explains enough."""
        young = 1 / self.seen
        if self.seen == 1:
            self.means = [x] * 5
        old = self.means
        self.means = [m + max(1 / over, young) * (x - m) for m, over in zip(old, (8, 32, 64, 256, 1000))]
        from_64 = x - old[2]
        scaled = 0.0
        if self.seen > 20:
            scaled = max(-50.0, min(50.0, from_64 / (self.near + 0.1 * self.far + 1e-12)))
        self.departure += (scaled - self.departure) / 8
        self.near += max(1 / 1024, young) * (abs(from_64) - self.near)
        self.far += max(1 / 5000, young) * (abs(from_64) - self.far)
        self.square += max(1 / 64, young) * (from_64 * from_64 - self.square)
        rest, explains = x - old[4], False
        count, mean = self.hours[hour]
        if count >= 3:
            self.error_without += 0.005 * (abs(rest) - self.error_without)
            rest = x - mean
            self.error_with += 0.005 * (abs(rest) - self.error_with)
            explains = self.error_with < 0.7 * self.error_without
        count = min(count + 1, 100)
        self.hours[hour] = [count, mean + (x - mean) / count]
        self.rest_8 += max(1 / 8, young) * (rest - self.rest_8)
        self.rest_16 += max(1 / 16, young) * (rest - self.rest_16)
        values = x, self.means[0], self.means[1], from_64, x - old[3], self.departure, math.sqrt(self.square)
        return [*values, rest, self.rest_8, self.rest_16], explains

    def order_values(self, hour, x):
        if self.order:
            return self.order.values(hour, x)
        self.held.append((hour, x))
        if self.seen < WARM_UP:
            return ()
        self.order = Order([value for _, value in self.held])
        for held in self.held[:-1]:
            for view, value in zip(self.views[OF_ORDER:], self.order.values(*held)):
                view.score(value)
        return self.order.values(hour, x)

    def update(self, t, x):
        self.seen += 1
        hour = t % 86_400 // 3_600
        values, explains = self.levels(hour, x)
        values += self.order_values(hour, x)
        beyond = 0.0
        for place, (view, weight, value) in enumerate(zip(self.views, WEIGHTS, values)):
            score = weight * view.score(value)
            if score > beyond and (explains or place not in OF_DAY):
                beyond = score
        self.age += 1
        if self.age > SILENCE:
            self.worst = 0.0
        if beyond <= 2 * self.worst:
            return 0.0
        if beyond >= ALARM / (1 - ALARM):
            self.worst, self.age = beyond, 0
        return beyond / (1 + beyond)


def rows(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.split(",") for line in file.read().splitlines()[1:]]
    return [(int(line[0]), *map(float, line[1:])) for line in lines]


def check(paths):
    for path in paths:
        detector = Detector()
        for number, (t, x, score) in enumerate(rows(path), 2):
            found = detector.update(t, x)
            if abs(found - score) > 1e-12:
                sys.exit(f"{path}, line {number}: {found} instead of {score}")


def measure(path, times):
    series, seconds, scores = rows(path), [], []
    for _ in range(times + 1):
        begun = time.process_time()
        detector = Detector()
        scores = [detector.update(t, x) for t, x in series]
        seconds.append(time.process_time() - begun)
    alarms = [place for place, score in enumerate(scores) if score >= ALARM]
    print(json.dumps({"seconds": seconds[1:], "alarms": alarms, "sum": math.fsum(scores)}))


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(sys.argv[2:])
    else:
        measure(sys.argv[1], int(sys.argv[2]))
