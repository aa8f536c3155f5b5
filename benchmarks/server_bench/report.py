#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tables and a picture of what measure.py has measured.

    benchmarks/server_bench/report.py build/server_bench.jsonl                             # tables, in Markdown
    benchmarks/server_bench/report.py build/server_bench.jsonl --plot docs/server_bench.svg

Medians over the repetitions; a ratio is taken within a repetition, to the bare handler of the same style. What was measured
while other processes had more than --others of the machine is left out.
"""

import argparse
import collections
import json
import pathlib
import statistics
import sys

STYLES = ("sync", "callback", "awaitable")
ROWS = (("none", "bare"),) + tuple((store, kind) for store in ("memory", "full", "redis", "postgres")
                                   for kind in ("no key", "replay", "first"))
SERVER_COLOUR, STORE_COLOUR = "#3b6ea5", "#d08c3c"


def rate(line):
    return line["requests"] / line["seconds"]


class Results:
    def __init__(self, path, others):
        self._cells = collections.defaultdict(dict)
        self._left_out = 0
        with open(path) as file:
            for line in map(json.loads, file):
                if line["others"] > others:
                    self._left_out += 1
                    continue
                self._cells[line["style"], line["store"], line["kind"]][line["repetition"]] = line

    def styles(self):
        """Those of charge_server, then its peers."""
        found = {style for style, _, _ in self._cells}
        return [style for style in STYLES if style in found] + sorted(found - set(STYLES))

    def has(self, style, row):
        return (style, *row) in self._cells

    def repetitions(self):
        least, most = min(map(len, self._cells.values())), max(map(len, self._cells.values()))
        counted = f"{most} repetitions" if least == most else f"{least} to {most} repetitions"
        return counted + (f"; {self._left_out} disturbed measurements are left out" if self._left_out else "")

    def median(self, style, row, quantity):
        return statistics.median(map(quantity, self._cells[style, *row].values()))

    def ratio(self, style, row, quantity):
        """To the bare handler; empty where none was measured."""
        bare = self._cells.get((style, "none", "bare"), {})
        ratios = [quantity(line) / quantity(bare[repetition])
                  for repetition, line in self._cells[style, *row].items() if repetition in bare]
        return f"{statistics.median(ratios):.2f}" if ratios else ""


def name(row):
    store, kind = row
    if store == "full":
        store = "full memory"
    return "bare handler" if kind == "bare" else f"{store}, {kind}"


def print_tables(results):
    print(f"Medians of {results.repetitions()}.\n")
    for style in results.styles():
        rows = [row for row in ROWS if results.has(style, row)]
        print(f"| {style} | requests/s | to bare | p50 ms | p99 ms | server CPU µs | to bare | store's CPU µs | wrk's CPU µs |")
        print("|---|---|---|---|---|---|---|---|---|")
        for row in rows:
            def median(quantity):
                return results.median(style, row, quantity)

            print(f"| {name(row)} | {median(rate):,.0f} | {results.ratio(style, row, rate)} "
                  f"| {median(lambda line: line['p50_us'] / 1000):.2f} | {median(lambda line: line['p99_us'] / 1000):.2f} "
                  f"| {median(lambda line: line['server_us']):.1f} "
                  f"| {results.ratio(style, row, lambda line: line['server_us'])} "
                  f"| {median(lambda line: line['store_us']):.1f} | {median(lambda line: line['load_us']):.1f} |")
        print()


def plot(results, path):
    """CPU time of a request, server and store, a panel for each style."""
    styles = results.styles()
    rows = [row for row in ROWS if any(results.has(style, row) for style in styles)]

    def cpu(style, row):
        if not results.has(style, row):
            return 0, 0
        return tuple(results.median(style, row, lambda line, key=key: line[key]) for key in ("server_us", "store_us"))

    longest = max(sum(cpu(style, row)) for style in styles for row in rows)
    left, panel, gap, line, top = 130, 250, 40, 22, 66
    width, height = left + len(styles) * (panel + gap), top + len(rows) * line + 16
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           "<title>CPU time of a request in microseconds, by server, store and kind of request</title>",
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="20" font-weight="bold">CPU time of a request, µs</text>']
    for index, (colour, label) in enumerate(((SERVER_COLOUR, "charge_server"), (STORE_COLOUR, "Redis or PostgreSQL"))):
        x = left + panel + gap + index * 130
        out.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="20">{label}</text>')
    for number, row in enumerate(rows):
        out.append(f'<text x="{left - 10}" y="{top + number * line + 13}" text-anchor="end">{name(row)}</text>')
    for column, style in enumerate(styles):
        x = left + column * (panel + gap)
        out.append(f'<text x="{x}" y="{top - 12}" font-weight="bold">{style}</text>')
        out.append(f'<line x1="{x}" y1="{top - 4}" x2="{x}" y2="{height - 16}" stroke="#999"/>')
        for number, row in enumerate(rows):
            y, start, total = top + number * line, x, sum(cpu(style, row))
            for value, colour in zip(cpu(style, row), (SERVER_COLOUR, STORE_COLOUR)):
                length = value / longest * (panel - 40)
                out.append(f'<rect x="{start:.1f}" y="{y}" width="{length:.1f}" height="16" fill="{colour}"/>')
                start += length
            if total:
                out.append(f'<text x="{start + 4:.1f}" y="{y + 12}" font-size="11">{total:.0f}</text>')
    out.append("</svg>\n")
    path.write_text("\n".join(out), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--others", type=float, default=0.15, help="the most that other processes may have had of the machine")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE", help="draw an SVG instead")
    arguments = parser.parse_args(sys.argv[1:])
    results = Results(arguments.results, arguments.others)
    if arguments.plot:
        plot(results, arguments.plot)
    else:
        print_tables(results)


if __name__ == "__main__":
    main()
