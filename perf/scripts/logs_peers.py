"""Holds DuckDB or ClickHouse (chdb) for `perf logs`, which asks it through pipes and compares the answers.

    logs_peers.py ENGINE DIR
    stdin:   a JSON object a line: {"do": [SQL, ...]}, {"ask": SQL} or {"reopen": []}
    stdout:  a JSON object a line, after "bytes" of them so many bytes of rows (RowBinary of ClickHouse)

What a request took is measured here, around the engine's work and the fetching of its rows into memory as the engine
hands them out (RowBinary; Arrow): "wall" and "cpu" in nanoseconds, the latter of all threads of this process. What
Python does with rows afterwards, and the pipes, are outside of it.
"""

import json
import os
import struct
import sys
import time


class Duckdb:
    def __init__(self, path):
        import duckdb
        import pyarrow  # noqa: F401, wanted by to_arrow_table: missing should show at once

        self.connect, self.path, self.version = duckdb.connect, os.path.join(path, "lines.db"), duckdb.__version__
        self.open()

    def open(self):
        self.db = self.connect(self.path)

    def close(self):
        self.db.close()

    def do(self, sql):
        self.db.execute(sql)

    def ask(self, sql):
        return self.db.sql(sql).to_arrow_table()

    def pack(self, table):
        rows = zip(*(column.to_pylist() for column in table.columns))
        return b"".join(packed(value) for row in rows for value in row)


class Clickhouse:
    def __init__(self, path):
        from chdb.session import Session

        self.session, self.path = Session, path
        self.open()
        self.version = self.db.query("SELECT version()", "TSV").bytes().decode().strip()

    def open(self):
        self.db = self.session(self.path)

    def close(self):
        self.db.close()

    def do(self, sql):
        self.db.query(sql)

    def ask(self, sql):
        return self.db.query(sql, "RowBinary").bytes()

    def pack(self, rows):
        return rows


def packed(value):
    if isinstance(value, int):
        return struct.pack("<Q", value)
    raw, length = value.encode(), b""
    size = len(raw)
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return length + bytes([size]) + raw


def answer(engine, request):
    rows = None
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    if "ask" in request:
        rows = engine.ask(request["ask"])
    elif "reopen" in request:
        engine.close()
        engine.open()
    for sql in request.get("do", []):
        engine.do(sql)
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return {"wall": wall, "cpu": cpu}, b"" if rows is None else engine.pack(rows)


def main():
    # What an engine prints must not come between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(head, rows=b""):
        out.write(json.dumps({**head, "bytes": len(rows)}).encode() + b"\n" + rows)
        out.flush()

    try:
        engine = {"duckdb": Duckdb, "clickhouse": Clickhouse}[sys.argv[1]](sys.argv[2])
        say({"wall": 0, "cpu": 0, "version": engine.version})
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
        return
    for line in sys.stdin.buffer:
        try:
            say(*answer(engine, json.loads(line)))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})
    engine.close()


main()
