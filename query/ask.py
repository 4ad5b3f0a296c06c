"""Asks the lake in SQL: DuckDB, with a view over the objects of each table that a statement names.

`myaku query` runs this program with one JSON document in the variable MYAKU_QUERY: where the lake is, what to ask, and the
tables of `lake.json`. A view holds what arrived between two times. The objects of that time are listed once, when a statement
first names the view; DuckDB then reads only the hours that the statement's conditions on `dt` and `hh` leave.
"""

import base64
import csv
import datetime
import decimal
import itertools
import json
import os
import re
import sys
import threading
from pathlib import Path

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# A listing of more days begins at the stream instead: it asks for a thousand keys at a time, and a day may have fewer.
DAYS_MAX = 400
# A query that takes longer shows how far it is.
QUIET_SECONDS = 2
WIDTH_MAX = 60
ROWS_AT_A_TIME = 1_000
# A table is laid out by its widest cells, so all of its rows are in memory. The other formats are written row by row.
TABLE_ROWS_MAX = 10_000
TYPES = {"string": "VARCHAR", "int": "INTEGER", "bigint": "BIGINT", "boolean": "BOOLEAN", "json": "JSON"}
# A text in base64 as JSON; null if it is not JSON.
MACROS = "CREATE MACRO myaku_json(b64) AS TRY_CAST(TRY(decode(from_base64(b64))) AS JSON)"


class Problem(Exception):
    """Says what is wrong, and what to do next."""


def install_line(settings):
    return f"type: python3 -m pip install {settings['requirements']}, and pass that python with --python if it is another one"


def connect(settings):
    """DuckDB with its extension for S3, which can read what `settings` name and nothing else over the network."""
    try:
        import duckdb
    except ImportError as missing:
        raise Problem(f"{sys.executable} has no duckdb; {install_line(settings)}") from missing
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    try:
        import duckdb_extension_httpfs as wheel
    except ImportError as missing:
        raise Problem(f"{sys.executable} has no duckdb-extension-httpfs; {install_line(settings)}") from missing
    file = Path(wheel.__file__).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    if not file.is_file():
        raise Problem(f"duckdb is {duckdb.__version__}, and duckdb-extension-httpfs has another version; {install_line(settings)}")
    connection.execute(f"LOAD {quoted(str(file))}")
    connection.execute("SET TimeZone = 'UTC'")
    s3 = settings["s3"]
    options = [("KEY_ID", s3["key"]), ("SECRET", s3["secret"]), ("SESSION_TOKEN", s3["token"]), ("REGION", s3["region"])]
    if s3["endpoint"]:
        scheme, _, host = s3["endpoint"].rstrip("/").partition("://")
        options += [("ENDPOINT", host), ("URL_STYLE", "path"), ("USE_SSL", str(scheme == "https").lower())]
    connection.execute(f"CREATE SECRET (TYPE s3, {', '.join(f'{name} {quoted(value)}' for name, value in options if value)})")
    connection.execute(MACROS)
    return connection


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def utc(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)


def prefixes(location, since_ms, until_ms):
    """Patterns of the keys of a table's objects: whole days between two times, and the hours before the first and after the last."""
    if until_ms - since_ms > DAYS_MAX * DAY_MS:
        return [location.format(dt="*", hh="*")]
    found, hour = [], since_ms - since_ms % HOUR_MS
    while hour < until_ms:
        is_day = hour % DAY_MS == 0 and hour + DAY_MS <= until_ms
        found.append(location.format(dt=f"{utc(hour):%Y-%m-%d}", hh="*" if is_day else f"{utc(hour):%H}"))
        hour += DAY_MS if is_day else HOUR_MS
    return found


class Views:
    """The views of one connection, each made when a statement first names it."""

    def __init__(self, connection, settings):
        self.connection, self.settings = connection, settings
        self.made = set()

    def make(self, name):
        """Makes the view of this name; `False` if there is none, or it is made already."""
        table = self.settings["lake"]["tables"].get(name)
        if name in self.made or (table is None and name != "results"):
            return False
        if table is None:
            self.results()
        else:
            self.lake(name, table)
        self.made.add(name)
        return True

    def files(self, name, table):
        """The objects of a table that may hold something of the time that was asked for."""
        found = self.settings["names"][name]
        for one in found.values():
            if not one["value"]:
                raise Problem(
                    f"the view {name} needs the variable {one['variable']}: it is in the stack's outputs, "
                    "and `myaku env` prints it for a local stack"
                )
        since, until = self.settings["sinceMs"], self.settings["untilMs"]
        if table["partitions"]:
            # The reason comes before the day in a key, so letters of all days are listed. They are few, or an alarm is raised.
            patterns, first = [re.sub(r"{\w+}", "*", table["location"])], f"dt={utc(since):%Y-%m-%d/hh=%H}"
        else:
            patterns, first = prefixes(table["location"].replace("{stream}", found["stream"]["value"]), since, until), ""
        patterns = [f"s3://{found['bucket']['value']}/{pattern}{table['files']}" for pattern in patterns]
        rows = self.connection.execute("SELECT file FROM glob(?)", [patterns]).fetchall()
        return [file for (file,) in rows if file[file.index("/dt=") + 1 :] >= first]

    def lake(self, name, table):
        lake = self.settings["lake"]
        columns = lake["lines"] if table["columns"] == "lines" else table["columns"]
        partitions = table["partitions"] + lake["hours"]
        files = self.files(name, table)
        typed = lambda entries, of: ", ".join(f"{of(entry[0])}: {quoted(TYPES[entry[1]])}" for entry in entries)
        if files:
            self.connection.execute(f"SET VARIABLE {name}_files = [{', '.join(map(quoted, files))}]")
            source = (
                f"read_ndjson(getvariable('{name}_files'), columns = {{{typed(columns, quoted)}}}, hive_partitioning = true, "
                f"hive_types = {{{typed(partitions, quoted)}}}, maximum_object_size = 67108864)"
            )
        else:
            begin, end = (f"{utc(self.settings[ms]):%Y-%m-%dT%H:%MZ}" for ms in ("sinceMs", "untilMs"))
            note(f"no object of {name} between {begin} and {end}; see --since")
            nothing = ", ".join(f'NULL::{TYPES[kind]} AS "{column}"' for column, kind, *_ in columns + partitions)
            source = f"(SELECT {nothing} WHERE false)"
        decoded = "".join(f', {sql} AS "{column}"' for column, sql, _ in table["decoded"])
        time = f"arrived >= {self.settings['sinceMs']} AND arrived < {self.settings['untilMs']}"
        record = f"SELECT *, {lake['record']} AS record FROM {source} WHERE {time}"
        self.connection.execute(f"CREATE VIEW {name} AS SELECT *{decoded} FROM ({record})")

    def results(self):
        file = self.settings["results"]
        if not file:
            raise Problem("the view results needs --with-results, which reads the whole table of results into a file first")
        # A row has an attribute `metric:<name>` for each metric of its device.
        rows = f"SELECT json AS row, unnest(json_keys(json)) AS name FROM read_ndjson_objects({quoted(file)})"
        self.connection.execute(f"""CREATE VIEW results AS
            SELECT row->>'$.deviceId' AS "deviceId", row->>'$.item' AS item, row->>'$.facility' AS facility, name[8:] AS metric,
                row->('$."' || name || '"') AS result, row
            FROM ({rows}) WHERE name LIKE 'metric:%'""")


def note(text):
    print(f"note: {text}", file=sys.stderr)


class Watch:
    """Ends a statement after a time, and shows how far a long one is."""

    def __init__(self, connection, seconds):
        self.connection, self.seconds = connection, seconds
        self.timed_out, self.done = False, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def run(self):
        waited, shown = 0, False
        while not self.done.wait(1):
            waited += 1
            if waited >= self.seconds:
                self.timed_out = True
                self.connection.interrupt()
                break
            if waited >= QUIET_SECONDS and sys.stderr.isatty():
                percent = self.connection.query_progress()
                print(f"\r{waited} s{f', {percent:.0f}%' if percent >= 0 else ''} ", end="", file=sys.stderr, flush=True)
                shown = True
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def plain(value, kind):
    """A value for JSON: times as ISO 8601, bytes in base64, and JSON as it is."""
    if isinstance(value, str) and kind == "JSON":
        return json.loads(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {str(key): plain(item, "") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, "") for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def cell(value, kind):
    if value is None or isinstance(value, str):
        return value or ""
    value = plain(value, kind)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, (dict, list, bool)) else str(value)


def rows_of(result):
    while rows := result.fetchmany(ROWS_AT_A_TIME):
        yield from rows


def write(result, form):
    """Writes the rows of a result to standard output. A statement without rows writes nothing."""
    if result is None or result.description is None:
        return
    names, kinds = [column[0] for column in result.description], [str(column[1]) for column in result.description]
    out = sys.stdout
    if form == "json":
        for row in rows_of(result):
            line = {name: plain(value, kind) for name, value, kind in zip(names, row, kinds)}
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    elif form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for row in rows_of(result):
            writer.writerow([cell(value, kind) for value, kind in zip(row, kinds)])
    else:
        table(out, names, kinds, rows_of(result))
    out.flush()


def table(out, names, kinds, rows):
    if names[:1] == ["explain_key"]:
        # A plan is a drawing: it stays as it is.
        out.writelines("\n".join(row) + "\n" for row in rows)
        return
    shorten = lambda text: text if len(text) <= WIDTH_MAX else text[: WIDTH_MAX - 1] + "…"
    first = itertools.islice(rows, TABLE_ROWS_MAX)
    shown = [[shorten(cell(value, kind).replace("\n", "⏎")) for value, kind in zip(row, kinds)] for row in first]
    more = next(rows, None) is not None
    widths = [max(map(len, column)) for column in zip(names, *shown)]
    is_number = [kind in ("INTEGER", "BIGINT", "HUGEINT", "DOUBLE") or kind.startswith("DECIMAL") for kind in kinds]
    for row in [names, ["─" * width for width in widths], *shown]:
        padded = (text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, is_number))
        out.write("  ".join(padded).rstrip() + "\n")
    if more:
        note(f"only the first {TABLE_ROWS_MAX:,} rows are shown; --format csv or json writes all")


HINTS = [
    (r"NoSuchBucket|404", "the bucket does not exist: check LAKE_BUCKET and DEAD_LETTER_BUCKET"),
    (
        r"403|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch",
        "the credentials may not list or read this bucket (s3:ListBucket, s3:GetObject)",
    ),
    (
        r"Could not (establish|connect)|Connection refused|resolve host",
        "S3 does not answer: is `myaku local` running, and AWS_ENDPOINT_URL_S3 right?",
    ),
]


def reason_of(error):
    """DuckDB's own message, and what to do about it where that is known."""
    text = str(error)
    if type(error).__name__ in ("HTTPException", "IOException"):
        hint = next((hint for pattern, hint in HINTS if re.search(pattern, text)), None)
        return f"{text}\n{hint}" if hint else text
    return text


def run(connection, views, statement):
    """Runs one statement. A view that it names and that is not there yet is made."""
    import duckdb

    while True:
        try:
            return connection.execute(statement)
        except duckdb.CatalogException as error:
            unknown = re.search(r"Table with name (\w+) does not exist", str(error))
            if not unknown or not views.make(unknown[1].lower()):
                raise


def ask(connection, views, sql, settings):
    """Runs one or several statements, and writes the rows of the last one."""
    import duckdb

    with Watch(connection, settings["timeoutSeconds"]) as watch:
        try:
            result = None
            for statement in connection.extract_statements(sql):
                result = run(connection, views, statement)
            write(result, settings["format"])
        except (duckdb.Error, RuntimeError) as error:
            if watch.timed_out:
                raise Problem(
                    f"it was not done in {settings['timeoutSeconds']} s; ask for less time (--since) or fewer hours (dt, hh), "
                    "or pass --timeout"
                ) from error
            if "INTERRUPT" in str(error).upper():
                raise KeyboardInterrupt from error
            raise Problem(reason_of(error)) from error


def shell(connection, views, settings):
    """Reads statements that end with a semicolon, until the end of the input."""
    try:
        import readline  # noqa: F401 - editing and history of input()
    except ImportError:
        pass
    asks = sys.stdin.isatty()
    if asks:
        views_there = ", ".join(settings["lake"]["tables"])
        print(f"Views: {views_there}, results. End a statement with ; and the shell with Ctrl-D.", file=sys.stderr)
    statement, failed = "", False
    while True:
        try:
            line = input(("myaku> " if not statement else "   ... ") if asks else "")
        except EOFError:
            break
        except KeyboardInterrupt:
            print(file=sys.stderr)
            statement = ""
            continue
        statement += line + "\n"
        if not statement.strip() or not line.rstrip().endswith(";"):
            continue
        try:
            ask(connection, views, statement, settings)
        except Problem as problem:
            print(f"error: {problem}", file=sys.stderr)
            failed = True
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
        statement = ""
    if statement.strip():
        ask(connection, views, statement, settings)
    return 1 if failed and not asks else 0


def main():
    settings = json.loads(os.environ["MYAKU_QUERY"])
    try:
        connection = connect(settings)
        views = Views(connection, settings)
        if settings["sql"] is None:
            return shell(connection, views, settings)
        ask(connection, views, settings["sql"], settings)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
