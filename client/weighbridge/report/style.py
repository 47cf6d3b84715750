"""How the page looks: light or dark as the reader's system is, on paper, on a telephone."""

from __future__ import annotations

import base64
import hashlib
from itertools import chain

# Each is told from its background at 3:1 or more, and from its neighbours by people who see fewer colours.
_LIGHT = ("#1b62b5", "#c2410c", "#0b7a55", "#8b3fc7", "#8a6100", "#be2a72", "#0b7285", "#5c5f66")
_DARK = ("#74b4ff", "#ff9466", "#4fd1a1", "#cf9cff", "#e6b84d", "#ff8cc0", "#5fd3e6", "#b8bcc4")
_DASHES = ("none", "7 4", "2 3", "9 3 2 3")
_VERSIONS = 16


def _versions() -> str:
    """Sixteen ways to draw a line: eight colours, and no two of one colour with the same dashes."""
    count = len(_LIGHT)
    return "".join(
        f".v{place}{{--c:var(--c{place % count});stroke-dasharray:{_DASHES[(place + place // count) % len(_DASHES)]}}}"
        for place in range(_VERSIONS)
    )


def _colours(colours: tuple[str, ...]) -> str:
    return "".join(f"--c{place}:{colour};" for place, colour in enumerate(colours))


_LIGHT_THEME = (
    "--back:#fff;--text:#1c1e21;--quiet:#5a5f66;--edge:#d5d9de;--head:#f4f5f7;--mark:#fff3c9;--better:#0b6b3a;"
    "--worse:#b3261e;" + _colours(_LIGHT)
)
_DARK_THEME = (
    "--back:#14171a;--text:#e8eaed;--quiet:#a4abb3;--edge:#3a4047;--head:#1e2327;--mark:#453a14;--better:#6fdc9f;"
    "--worse:#ff9b91;" + _colours(_DARK)
)

STYLE = "".join(
    chain.from_iterable(
        (
            f":root{{color-scheme:light dark;{_LIGHT_THEME}}}",
            f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK_THEME}}}}}",
            "*{box-sizing:border-box}",
            "body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--back);color:var(--text);"
            "font:15px/1.5 system-ui,sans-serif}",
            "h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}",
            "h2{font-size:1.15rem;margin:2rem 0 .5rem;padding-bottom:.25rem;border-bottom:1px solid var(--edge)}",
            "h3{font-size:1rem;margin:0 0 .25rem;overflow-wrap:anywhere}",
            "p{margin:.25rem 0 .75rem}",
            ".quiet{color:var(--quiet);font-weight:normal}",
            ".scroll{overflow-x:auto;margin:.5rem 0}",
            "table{border-collapse:collapse;min-width:min(100%,30rem);font-size:.9rem}",
            "th,td{text-align:left;vertical-align:top;padding:.3rem .7rem;border-bottom:1px solid var(--edge)}",
            "thead th{background:var(--head);white-space:nowrap}",
            "tbody th{position:sticky;left:0;background:var(--back);font-weight:600;overflow-wrap:anywhere;"
            "min-width:9rem;max-width:22rem}",
            "td{white-space:pre-wrap}td.long{overflow-wrap:anywhere;min-width:9rem;max-width:26rem}",
            "td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}",
            "td.differs{background:var(--mark);font-weight:600}",
            ".better{color:var(--better);font-weight:600}.worse{color:var(--worse);font-weight:600}",
            "details{margin:.5rem 0}summary{cursor:pointer;color:var(--quiet)}",
            "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.5rem 0}",
            "dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}",
            ".suspects{border-left:4px solid var(--worse);padding:.1rem 0 .1rem 1rem;margin:1rem 0}",
            ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1.25rem}",
            "figure{margin:0;min-width:0;break-inside:avoid}",
            ".chart{width:100%;height:auto;display:block}",
            ".chart text{fill:var(--quiet);font-size:12px}.ytick{text-anchor:end;dominant-baseline:middle}",
            ".xtick{text-anchor:middle}.grid{stroke:var(--edge);stroke-width:.7}",
            ".axis{stroke:var(--quiet);stroke-width:1;fill:none}",
            ".curve{stroke:var(--c);stroke-width:1.8;fill:none;stroke-linejoin:round}",
            ".dot{fill:var(--c);stroke:none}.mark{fill:var(--c);stroke:var(--back);stroke-dasharray:none}",
            _versions(),
            ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.25rem 0;padding:0;"
            "font-size:.85rem}",
            ".legend svg{vertical-align:middle;margin-right:.4rem}.legend li{overflow-wrap:anywhere}",
            "@media(max-width:40rem){body{padding:.9rem;font-size:14px}th,td{padding:.3rem .45rem}"
            "dl{grid-template-columns:1fr}dd{margin:0 0 .5rem}.chart text{font-size:15px}}",
            "@media print{body{max-width:none;padding:0;font-size:10pt}.scroll{overflow:visible}"
            "h2,h3{break-after:avoid}tr{break-inside:avoid}details>summary{display:none}}",
        )
    )
)
"""One style sheet; its digest in the page's policy is what lets it, and nothing else, apply."""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
"""No script, no request, no other style."""
