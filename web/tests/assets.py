"""The page as the server serves it: files with names that say their content, and an index that knows these names."""

import base64
import gzip
import hashlib
import json
from pathlib import Path

WEB = Path(__file__).resolve().parent.parent
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def named(path):
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    return f"{path.stem}.{digest}{path.suffix}", content


class Assets:
    """All files of the page, read once."""

    def __init__(self):
        self.files, imports, modules = {}, {}, []
        for bare, folder in (("myaku", "src"), ("vendor", "vendor")):
            for path in sorted((WEB / folder).glob("*.js")):
                name, self.files[name] = named(path)
                imports[f"{bare}/{path.name}"] = f"./assets/{name}"
                modules.append(name)
        styles = []
        for path in [*sorted((WEB / "vendor").glob("*.css")), *sorted((WEB / "styles").glob("*.css"))]:
            name, self.files[name] = named(path)
            styles.append(name)
        importmap = json.dumps({"imports": imports})
        start = imports["myaku/main.js"]
        self.index = (
            (WEB / "index.html")
            .read_text()
            .replace("<!-- styles -->", "\n".join(f'<link rel="stylesheet" href="assets/{name}">' for name in styles))
            .replace("<!-- importmap -->", f'<script type="importmap">{importmap}</script>')
            .replace("<!-- modules -->", "\n".join(f'<link rel="modulepreload" href="assets/{name}">' for name in modules))
            .replace("<!-- start -->", f'<script type="module" src="{start}"></script>')
            .encode()
        )
        digest = base64.b64encode(hashlib.sha256(importmap.encode()).digest()).decode()
        self.policy = (
            f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def find(self, path):
        """The content of a path and its type, or None."""
        if path == "/":
            return self.index, "text/html; charset=utf-8"
        content = self.files.get(path.removeprefix("/assets/"))
        return None if content is None else (content, TYPES[Path(path).suffix])

    def compressed_bytes(self):
        """What the first load transfers, each file compressed by itself."""
        return sum(len(gzip.compress(content, 9)) for content in [self.index, *self.files.values()])
