"""A fleet as one HTML file: no script, nothing fetched, whatever containers call themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from converge.fleet import members
from converge.fleet.table import ago, what

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converge.fleet.members import Member

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>converge: {{ total }} containers</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { --failed: #b3261e; --stale: #d9601a; --contended: #b58900; --drifting: #c9a227;
        --waiting: #2f7f9f; --converged: #2e7d32; color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem } p { margin: .2rem 0 1rem; opacity: .75 }
.bar { display: flex; height: 1.1rem; border-radius: .4rem; overflow: hidden; margin: .6rem 0 }
.bar i { display: block; min-width: 3px }
.counts { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; padding: 0; list-style: none }
.counts b { font-size: 1.3rem; margin-right: .3rem }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .45em }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884;
         vertical-align: top }
th { font-weight: 600; position: sticky; top: 0; background: Canvas }
td.name, td.what { overflow-wrap: anywhere } td { white-space: nowrap }
td.name, td.what { white-space: normal }
{% for name in standings %}.{{ name }} { background: var(--{{ name }}) }
{% endfor %}</style></head><body>
<h1>{{ total }} containers, {{ "%.1f" | format(share) }} % converged</h1>
<p>{{ when }}</p>
<div class="bar" role="img" aria-label="how the containers stand">
{% for name, number in counts %}<i class="{{ name }}" style="flex: {{ number }}"></i>{% endfor %}</div>
<ul class="counts">{% for name, number in counts %}
<li title="{{ meaning(name) }}"><span class="dot {{ name }}"></span><b>{{ number }}</b>{{ name }}</li>
{% endfor %}</ul>
<table><thead><tr><th>container</th><th>standing</th><th>heard</th><th>converged</th><th>bundle</th>
<th>groups</th><th>what</th></tr></thead><tbody>
{% for m in found %}{% set standing = m.standing(now) %}<tr><td class="name">{{ m.name }}</td>
<td><span class="dot {{ standing }}"></span>{{ standing }}</td><td>{{ ago(m.heard, now) }}</td>
<td>{{ ago(m.success, now) }}</td><td>{{ m.bundle }} {{ m.sequence or "" }}</td>
<td>{{ m.groups | join(", ") }}</td><td class="what">{{ what(m) }}</td></tr>
{% endfor %}</tbody></table></body></html>
"""


def page(found: Sequence[Member], now: float) -> str:
    """Return the page."""
    from jinja2 import Environment, StrictUndefined

    counts = members.count(found, now)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(_TEMPLATE).render(
        total=len(found), now=now, found=members.ordered(found, now),
        share=100 * counts["converged"] / max(1, len(found)), standings=members.STANDINGS,
        counts=[(name, number) for name, number in counts.items() if number],
        meaning=members.meaning, ago=ago, what=what,
        when=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)),
    )  # fmt: skip
