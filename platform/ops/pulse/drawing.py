"""Pictures of signals as the numbers of an SVG: paths in a box of 600 by 120, an hour wide. Style is the sheet's."""

from dataclasses import dataclass
from math import floor, log10

from ops.pulse.sampling import KEPT_SECONDS
from ops.pulse.series import Points, Signal

Piece = list[tuple[float, float]]
WIDTH, HEIGHT = 600, 120
_ROUND = (1.0, 2.0, 5.0, 10.0)
_LONGEST_GAP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A signal as it's drawn. `told` is the picture in words."""

    key: str
    title: str
    about: str
    now: str
    top: str
    line: str
    area: str
    told: str


def picture(signal: Signal, until: float) -> Picture:
    """Draw a signal's hour that ends at `until`."""
    top = top_of(max(signal.most or 0.0, signal.least_top), is_share=signal.unit == "share")
    pieces = _pieces(signal.points, until, top)
    now, most = written(signal.now, signal.unit), written(signal.most, signal.unit)
    told = f"{signal.title} over the last hour: now {now}, at most {most}."
    if signal.most is None:
        told = f"{signal.title} over the last hour: there were none."
    return Picture(
        key=signal.key,
        title=signal.title,
        about=signal.about,
        now=now,
        top=written(top, signal.unit),
        line=" ".join(f"M{_path(piece)}" for piece in pieces),
        area=" ".join(_down_to_the_base(piece) for piece in pieces),
        told=told,
    )


def _path(piece: Piece) -> str:
    return " L".join(f"{x:.1f} {y:.1f}" for x, y in piece)


def _down_to_the_base(piece: Piece) -> str:
    return f"M{piece[0][0]:.1f} {HEIGHT} L{_path(piece)} L{piece[-1][0]:.1f} {HEIGHT}Z"


def top_of(most: float, *, is_share: bool) -> float:
    """Return a round number that is no less than `most`: 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** floor(log10(most))
    top = next(factor * power for factor in _ROUND if factor * power >= most * (1 - 1e-9))
    return min(top, 1.0) if is_share else top


def written(value: float | None, unit: str) -> str:
    """Return a value as people read it."""
    if value is None:
        return "none"
    match unit:
        case "rate":
            return f"{_short(value)}/s"
        case "share":
            return f"{_short(value * 100)} %"
        case "seconds":
            return f"{_short(value * 1_000)} ms" if value < 1 else f"{_short(value)} s"
    return f"{value:,.0f}"


def _short(value: float) -> str:
    """Return three digits that count: 0.25, 3.4, 128."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 1 else f"{value:.2g}"


def _pieces(points: Points, until: float, top: float) -> list[Piece]:
    """Return the parts of a line that hang together; one point alone gets a little length, so that it's seen."""
    pieces: list[Piece] = [[]]
    last = 0.0
    for at, value in points:
        x = WIDTH * (1 - (until - at) / KEPT_SECONDS)
        if value is None or x < 0 or at - last > _LONGEST_GAP_SECONDS:
            pieces.append([])
        last = at
        if value is not None and x >= 0:
            pieces[-1].append((min(x, WIDTH), HEIGHT * (1 - min(value / top, 1.0))))
    return [
        piece if len(piece) > 1 else [(piece[0][0] - 1, piece[0][1]), (piece[0][0] + 1, piece[0][1])]
        for piece in pieces
        if piece
    ]
