"""Heavy functions for tests of frames, in a module that worker processes import quickly."""

import os
import signal

import pyarrow as pa

BASKETS = pa.schema([("buyer", pa.string()), ("fruits", pa.list_(pa.int64())), ("paid", pa.int64())])
COUNTS = pa.schema([("buyer", pa.string()), ("n", pa.int64()), ("price", pa.int64())])
DEADLY = 2**53 + 1  # a price


def bought(sales: pa.Table, fruits: pa.Table) -> pa.Table:
    """Kill the process if a price is `DEADLY`; otherwise return one row for each sale."""
    if DEADLY in sales["price"].to_pylist():
        os.kill(os.getpid(), signal.SIGKILL)
    rows = [{"buyer": f"{r['buyer']} {len(fruits)}", "n": os.getpid(), "price": r["price"]} for r in sales.to_pylist()]
    return pa.Table.from_pylist(rows, COUNTS)


def never_bought(sales: pa.Table, reason: str) -> pa.Table:
    return pa.Table.from_pylist([{"buyer": reason, "n": None, "price": None} for _ in range(len(sales))], COUNTS)


def fail(sales: pa.Table) -> pa.Table:
    if len(sales):
        raise ArithmeticError("the scales are broken")
    return BASKETS.empty_table()
