#!/usr/bin/env python3
"""Serves the page and its API without AWS, from a made-up world.

    web/tests/mock.py [--port 8090]

Open one of the addresses that it prints. `curl localhost:8090/mock/fault/503` lets each call of the API fail, `…/fault/none` ends that, and
`…/alert/bed-3041` raises an alert.
"""

import argparse
import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from assets import Assets  # noqa: E402
from trial import attempt  # noqa: E402
from world import UNKEPT, World  # noqa: E402

# Who the tokens are.
TOKENS = {
    "a-viewer": {"subject": "kiosk", "role": "viewer", "facilities": None},
    "an-operator": {"subject": "night-shift", "role": "operator", "facilities": None},
    "one-home": {"subject": "sato", "role": "operator", "facilities": ["home-1"]},
}
PAGE = 200


class Problem(Exception):
    def __init__(self, status, title, detail=None, **more):
        self.status = status
        self.body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | more


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece, as it does from a server in front of which stands a cache.
    wbufsize = 1 << 20

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def handle_request(self, method):
        url = urlsplit(self.path)
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length else b""
        found = self.server.assets.find(url.path)
        if found:
            return self.respond(200, found[0], found[1], {"content-security-policy": self.server.assets.policy, "x-content-type-options": "nosniff"})
        if url.path.startswith("/mock/"):
            return self.respond(200, json.dumps(self.server.control(url.path.split("/")[2:])).encode())
        self.server.requests.append((method, self.path, dict(self.headers.items())))
        if self.server.fault == "hang":
            self.server.hanging.wait(60)
        try:
            if isinstance(self.server.fault, int):
                raise Problem(self.server.fault, "on demand", "the mock server was asked to fail")
            answer = self.answer(method, unquote(url.path), {key: values[0] for key, values in parse_qs(url.query).items()}, body)
            self.respond_json(200, answer, method == "GET")
        except Problem as problem:
            self.respond(problem.status, json.dumps(problem.body).encode(), "application/problem+json")

    def respond_json(self, status, answer, tagged):
        content = json.dumps(answer, ensure_ascii=False).encode()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if tagged and self.headers.get("if-none-match") == etag:
            return self.respond(304, b"", headers={"etag": etag})
        return self.respond(status, content, headers={"etag": etag} if tagged else {})

    def respond(self, status, content, kind="application/json", headers=None):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def answer(self, method, path, query, body):
        world = self.server.world
        who = TOKENS.get(self.headers.get("authorization", "").removeprefix("Bearer "))
        if who is None or who["subject"] in self.server.revoked:
            raise Problem(401, "Unauthorized", "the token is not valid")
        sees = lambda facility: who["facilities"] is None or facility in who["facilities"]
        parts = path.removeprefix("/v1/").split("/")
        match [method, *parts]:
            case ["GET", "me"]:
                return who
            case ["GET", "facilities"]:
                return self.page("facilities", [name for name in ("home-1", "home-2", "home-3") if sees(name)], query, world.facility)
            case ["GET", "devices"]:
                names = [name for name, facts in world.devices.items() if sees(facts["facility"]) and facts["facility"] == query.get("facility", facts["facility"])]
                return self.page("devices", names, query, world.device)
            case ["GET", "devices", name] if name in world.devices and sees(world.devices[name]["facility"]):
                return world.device(name) | {"alerts": self.alerts(who, {"deviceId": name, "state": "open"}), "profileVersion": "2"}
            case ["GET", "devices", name, "history"] if name in world.devices and sees(world.devices[name]["facility"]):
                metric = next((metric for metric in world.device(name)["metrics"] if metric["metric"] == query["metric"]), None)
                if metric is None:
                    raise Problem(404, "Not Found")
                if (world.devices[name]["profile"], query["metric"]) in UNKEPT:
                    raise Problem(400, "Bad Request", "its profile asks for no windows of time, which a history is made of", field="metric")
                step = int(query["step"])
                points = world.history(name, query["metric"], int(query["from"]), int(query["to"]), step)
                return {"metric": query["metric"], "unit": metric["unit"], "step": step, "points": points, "next": None}
            case ["GET", "alerts"]:
                return self.page("alerts", self.alerts(who, query), query, lambda alert: alert)
            case ["POST", "alerts", number, "acknowledge"] if number in world.alerts:
                if who["role"] == "viewer":
                    raise Problem(403, "Forbidden", "a viewer may not acknowledge")
                return world.acknowledge(number, who["subject"])
            case ["POST", "profiles", "try"]:
                status, outcome = attempt(json.loads(body))
                if status != 200:
                    raise Problem(status, "Bad Request", **outcome)
                return outcome
        raise Problem(404, "Not Found")

    def alerts(self, who, query):
        """The alerts that the query selects, newest first."""
        found = [
            alert
            for alert in self.server.world.alerts.values()
            if (who["facilities"] is None or alert["subject"]["facility"] in who["facilities"])
            and alert["state"] == query.get("state", alert["state"])
            and alert["subject"]["facility"] == query.get("facility", alert["subject"]["facility"])
            and alert["subject"]["deviceId"] == query.get("deviceId", alert["subject"]["deviceId"])
        ]
        return sorted(found, key=lambda alert: -alert["since"])

    @staticmethod
    def page(name, items, query, make):
        start = int(query.get("cursor", 0))
        size = min(PAGE, int(query.get("limit", 50)))
        more = start + size < len(items)
        return {name: [make(item) for item in items[start : start + size]], "next": str(start + size) if more else None}


class Server(ThreadingHTTPServer):
    """The mock. `fault` is None, a status, or "hang"; `requests` has the calls of the API; `revoked` the subjects that get 401."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port=0, world=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.assets = Assets()
        self.world = world or World()
        self.reset()

    def reset(self):
        self.fault, self.requests, self.revoked, self.hanging = None, [], set(), threading.Event()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def control(self, words):
        match words:
            case ["fault", what]:
                self.fault = int(what) if what.isdigit() else what if what == "hang" else None
                return {"fault": self.fault}
            case ["alert", device] if device in self.world.devices:
                return {"alert": self.world.open(device, "critical")}
        return {"unknown": words}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, default=8090)
    server = Server(arguments.parse_args().port)
    for token, who in TOKENS.items():
        print(f"{server.address}#token={token}   {who['role']} of {', '.join(who['facilities'] or ['all facilities'])}")
    server.serve_forever()
