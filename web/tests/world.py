"""A made-up world behind the page: three facilities, their devices, values that move, histories with gaps, alerts.

Everything follows from the time, so that the same time always gives the same values. Times are in milliseconds since the epoch.
"""

import math
import time
import zlib

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

# Each metric: its unit, what it is around, and how far it moves.
METRICS = {
    "heart_rate": ("1/min", 72, 14),
    "spo2": ("%", 96.5, 1.4),
    "body_temperature": ("°C", 36.6, 0.5),
    "battery": ("%", 64, 30),
    "room_temperature": ("°C", 22, 3),
    "humidity": ("%", 48, 9),
}
PROFILES = {
    "vital-band": ["heart_rate", "spo2", "body_temperature", "battery"],
    "smart-bed": ["heart_rate", "body_temperature", "battery"],
    "thermistor-node": ["room_temperature", "humidity", "battery"],
}
# Metrics without windows, and so without a history.
UNKEPT = {("thermistor-node", "battery")}
FACILITIES = {"home-1": 9, "home-2": 24, "home-3": 1_000}


def chance(*words):
    """A number from 0 to 1 that always follows from the words."""
    return zlib.crc32(" ".join(map(str, words)).encode()) / 2**32


def value(device, metric, at):
    """What a device measures at a time: a slow wave over the day, a faster one, and noise."""
    _, middle, span = METRICS[metric]
    turn = chance(device, metric) * 2 * math.pi
    day = math.sin(at / DAY * 2 * math.pi + turn)
    quick = math.sin(at / (23 * MINUTE) * 2 * math.pi + 2 * turn)
    noise = chance(device, metric, at // (10 * SECOND)) - 0.5
    base = middle + (chance(device, metric, "base") - 0.5) * span * 0.5
    return round(base + span * (0.32 * day + 0.12 * quick + 0.2 * noise), 2)


def is_silent_at(device, at, now):
    """Whether a device sent nothing then: six minutes of every 97, and some hours of three days ago and of every eleventh day before."""
    minute = at // MINUTE + int(chance(device, "gap") * 97)
    days = now // DAY - at // DAY
    return minute % 97 < 6 or (days % 11 == 3 and 1 <= at % DAY // HOUR < 12)


def window(device, start, end, now, read):
    """One window of the history, or None if no reading lies in it. `read` gives the value of a time."""
    times = range(start, end, max(10 * SECOND, (end - start) // 24))
    values = sorted(read(at) for at in times if not is_silent_at(device, at, now))
    if not values:
        return None
    share = lambda part: values[min(len(values) - 1, int(part * len(values)))]
    return {
        "from": start,
        "to": end,
        "count": len(values) * max(1, (end - start) // (240 * SECOND)),
        "mean": round(sum(values) / len(values), 3),
        "min": values[0],
        "max": values[-1],
        "p50": share(0.5),
        "p95": share(0.95),
        "p99": share(0.99),
        "partial": False,
        "revision": 0,
    }


class World:
    """The facilities, their devices and alerts. Tests change it while the page looks at it."""

    def __init__(self, now=lambda: int(time.time() * 1000)):
        self.now = now
        self.devices = {}
        for facility, count in FACILITIES.items():
            for number in range(1, count + 1):
                device = f"{'bed' if number % 5 else 'room'}-{facility[-1]}{number:03}"
                profile = "thermistor-node" if number % 5 == 0 else "smart-bed" if number % 7 == 0 else "vital-band"
                self.devices[device] = {"facility": facility, "profile": profile, "silent": number % 331 == 17, "connected": number % 83 != 40}
        self.devices["bed-1003"]["connected"] = None
        self.alerts = {}
        began = self.now()
        quiet = next(device for device, facts in self.devices.items() if facts["silent"] and facts["facility"] == "home-3")
        self.open("bed-3041", "critical", "threshold", "Oxygen saturation is below 90 % for 2 minutes.", ("spo2", 88.4, 90), began - 4 * MINUTE, "low-oxygen")
        self.open(quiet, "warning", "device-silent", f"{quiet} has not been heard for 19 min.", None, began - 19 * MINUTE, None)
        self.open("bed-3007", "warning", "forecast", "The battery will be empty in about 5 hours.", ("battery", 11, 10), began - 50 * MINUTE, "battery-soon")
        self.open("room-3015", "info", "drift", "The room has become 3 °C warmer over the day.", ("room_temperature", 25.6, 25), began - 3 * HOUR, "warm-room")
        self.open("bed-2004", "warning", "threshold", "Heart rate is above 110 for 5 minutes.", ("heart_rate", 117, 110), began - 12 * MINUTE, "fast-pulse")
        self.acknowledge(self.open("bed-3021", "critical", "threshold", "Heart rate is below 45 for 1 minute.", ("heart_rate", 43, 45), began - 30 * MINUTE, "slow-pulse"), "night-shift")
        for hours, device in ((5, "bed-3041"), (9, "bed-3041"), (20, "bed-2004"), (30, "bed-3007")):
            past = self.open(device, "warning", "threshold", "Heart rate is above 110 for 5 minutes.", ("heart_rate", 114, 110), began - hours * HOUR, "fast-pulse")
            self.clear(past, began - hours * HOUR + 25 * MINUTE)

    def open(self, device, severity="warning", kind="threshold", message="Heart rate is above 110.", evidence=("heart_rate", 117, 110), since=None, rule="rule"):
        """Begins an alert, and returns its id."""
        since = self.now() if since is None else since
        number = f"{zlib.crc32(f'{device} {since} {len(self.alerts)}'.encode()):08x}"
        self.alerts[number] = {
            "id": number,
            "kind": kind,
            "rule": rule,
            "severity": severity,
            "subject": {"deviceId": device, "facility": self.devices[device]["facility"]},
            "state": "open",
            "since": since,
            "raisedAt": since + 20 * SECOND,
            "clearedAt": None,
            "acknowledgedBy": None,
            "acknowledgedAt": None,
            "message": message,
            "evidence": evidence and dict(zip(("metric", "value", "limit"), evidence)),
        }
        return number

    def acknowledge(self, number, who):
        alert = self.alerts[number]
        if alert["state"] == "open":
            self.alerts[number] = alert | {"state": "acknowledged", "acknowledgedBy": who, "acknowledgedAt": self.now()}
        return self.alerts[number]

    def clear(self, number, at=None):
        self.alerts[number] |= {"state": "cleared", "clearedAt": self.now() if at is None else at}

    def device(self, name):
        """The device as the list has it."""
        facts = self.devices[name]
        now = self.now()
        # Each device sends every ten seconds, at a moment of its own.
        phase = int(chance(name, "phase") * 10_000)
        heard = (now - phase) // 10_000 * 10_000 + phase - (19 * MINUTE if facts["silent"] else 2 * HOUR if facts["connected"] is False else 0)
        return {
            "deviceId": name,
            "facility": facts["facility"],
            "profile": facts["profile"],
            "status": {"connected": facts["connected"], "silent": facts["silent"], "lastHeardAt": heard},
            "metrics": [self.metric(name, metric, heard) for metric in PROFILES[facts["profile"]]],
            "openAlerts": sum(1 for alert in self.alerts.values() if alert["state"] != "cleared" and alert["subject"]["deviceId"] == name),
        }

    def metric(self, device, metric, at):
        age = self.now() - at
        middle = self.value(device, metric, at)
        span = METRICS[metric][2] * 0.2
        return {
            "metric": metric,
            "value": middle,
            "unit": METRICS[metric][0],
            "at": at,
            "clock": None,
            "freshness": "live" if age < MINUTE else "late" if age < 10 * MINUTE else "silent",
            "partial": chance(device, metric, "partial") < 0.01,
            "average": {"mean": middle, "min": round(middle - span, 2), "max": round(middle + span, 2), "stddev": round(span / 2, 2), "count": 20},
        }

    def value(self, device, metric, at):
        """What a device measures at a time: around what an alert reports, from a little before it was raised until it was over."""
        usual = value(device, metric, at)
        for alert in self.alerts.values():
            evidence = alert["evidence"]
            if alert["subject"]["deviceId"] == device and alert["kind"] == "threshold" and evidence and evidence["metric"] == metric:
                if alert["since"] - 2 * MINUTE <= at <= (alert["clearedAt"] or self.now()):
                    return round(evidence["value"] + (usual - METRICS[metric][1]) * 0.4, 2)
        return usual

    def facility(self, name):
        devices = [facts | {"deviceId": device} for device, facts in self.devices.items() if facts["facility"] == name]
        alerts = [alert for alert in self.alerts.values() if alert["state"] != "cleared" and alert["subject"]["facility"] == name]
        return {
            "facility": name,
            "devices": len(devices),
            "connected": sum(facts["connected"] is True for facts in devices),
            "silent": sum(facts["silent"] for facts in devices),
            "openAlerts": len(alerts),
        }

    def history(self, device, metric, start, end, step):
        """The windows between two times that are over, at most 2,000."""
        unit = step * SECOND
        starts = range(start // unit * unit, min(end, self.now() - unit), unit)
        return [point for point in (window(device, at, at + unit, self.now(), lambda at: self.value(device, metric, at)) for at in starts[:2_000]) if point]
