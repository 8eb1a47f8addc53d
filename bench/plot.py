"""Draw what a run in sync costs against the number of files, both by their logarithms."""

from __future__ import annotations

from typing import Any

STRONG = ("converge", "minimal Python loop", "minimal C loop")


def draw(found: dict[str, Any], path: str) -> None:
    """Write an SVG of the figures of bench/run.py by N."""
    import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "converge"
    from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]

    figure, axes = pyplot.subplots(figsize=(9, 5.5))
    names = dict.fromkeys(name for one in found.values() for name in one["in sync"])
    colours = pyplot.get_cmap("tab20").colors  # type: ignore[attr-defined,unused-ignore]
    for number, name in enumerate(names):
        points = [
            (int(count), one["in sync"][name]["ms"])
            for count, one in found.items()
            if name in one["in sync"]
        ]
        width = 2.5 if name in STRONG else 1.2
        style = "--" if name.startswith(("minimal", "bare")) else "-"
        axes.plot(
            *zip(*points, strict=True), style, marker=".", lw=width, label=name,
            color=colours[number % len(colours)],
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="files", ylabel="milliseconds, in sync")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
