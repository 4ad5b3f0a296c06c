"""What the mock makes of a profile and a payload: the answers of `/v1/profiles/try`, without a decoder."""

import base64
import binascii
import json

KNOWN = "vital-band"
AT = 1_795_218_902_020


def attempt(request):
    """The status and the body for a request."""
    if "profile" in request:
        missing = [field for field in ("id", "metrics", "versions") if field not in request["profile"]]
        if missing:
            return 400, {"problems": [{"field": field, "message": "is missing"} for field in missing]}
    elif request.get("profileId") != KNOWN:
        return 404, {"detail": "there is no such profile"}
    try:
        text = request["payload"] if "payload" in request else base64.b64decode(request["payloadBase64"], validate=True).decode()
        vital = json.loads(text)["vital"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return 200, {"readings": [], "rejected": [{"index": 0, "field": None, "reason": "undecodable", "detail": "the payload is not valid JSON"}]}
    readings, rejected = [], []
    for index, (metric, field, unit) in enumerate((("heart_rate", "hr", "1/min"), ("spo2", "spo2", "%"), ("body_temperature", "temp", "°C"))):
        if field not in vital:
            rejected.append({"index": index, "field": f"vital.{field}", "reason": "missing-field", "detail": "the field is missing"})
            continue
        value = float(vital[field])
        value = round((value - 32) / 1.8, 2) if unit == "°C" else value
        readings.append({"metric": metric, "value": value, "unit": unit, "at": AT, "clock": "device", "quality": "good"})
    return 200, {"readings": readings, "rejected": rejected}
