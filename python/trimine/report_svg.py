"""Pictures of the page: plots as SVG, thumbnails as PNG. Text is escaped here, so callers pass it as it is.

A plot is 360 units wide, about as many as a phone has pixels: its letters stay readable there, and a grid puts several
side by side on a wider screen. Colours are those of Okabe and Ito, which the colour-blind tell apart, and never the only
difference: lines are dashed, areas hatched, and everything is labelled.
"""
import base64
import html
import math
import struct
import zlib

BLUE, ORANGE, GREEN, YELLOW, GREY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#595959"
WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 28, 40


def printable(text):
    """A text without what can't be seen, or turns the writing round: such characters as their codes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def esc(text):
    return html.escape(printable(str(text)), quote=True)


def number(value):
    """Of a distance or a share: four digits."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.4g}"
    if "e" in text:
        return text
    return f"{value:,.0f}" if abs(value) >= 10000 else text


def ticks(low, high, most=5):
    """Round numbers from low to high."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step * m for m in (1, 2, 5, 10, 20) if (high - low) / (step * m) <= most)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value):
    """Of a count, on an axis: 12k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


class Plot:
    """Axes; x from low to high, y from bottom to top."""

    def __init__(self, name, about, low, high, top, x_title, y_title, y_text=short, bottom=0.0, x_text=number):
        self.low, self.high, self.bottom, self.top = low, high if high > low else low + 1, bottom, top if top > bottom else bottom + 1
        self.parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">'
                      f'<title id="{name}-t">{esc(y_title)} by {esc(x_title)}</title><desc id="{name}-d">{esc(about)}</desc>']
        for value in ticks(self.bottom, self.top):
            if y_text is short and value != int(value):  # counts are whole
                continue
            y = self.y(value)
            self.parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            self.text(LEFT - 5, y + 4, y_text(value), "end")
        for value in ticks(self.low, self.high):
            x = self.x(value)
            self.parts.append(f'<path class="axis" d="M{x:.1f} {HEIGHT - BOTTOM}v4"/>')
            self.text(x, HEIGHT - BOTTOM + 16, x_text(value + 0.0), "middle")
        self.parts.append(f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_title, "middle")
        self.text(4, 13, y_title)

    def x(self, value):
        return LEFT + (min(max(value, self.low), self.high) - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return HEIGHT - BOTTOM - (min(value, self.top) - self.bottom) / (self.top - self.bottom) * (HEIGHT - BOTTOM - TOP)

    def text(self, x, y, text, anchor="start", extra=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{esc(text)}</text>')

    def steps(self, edges, counts, colour, dashed=False, fill=0.25):
        """A histogram's outline."""
        path = [f"M{self.x(edges[0]):.1f} {self.y(0):.1f}"]
        for i, count in enumerate(counts):
            path.append(f"V{self.y(count):.1f}H{self.x(edges[i + 1]):.1f}")
        path.append(f"V{self.y(0):.1f}")
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        self.parts.append(f'<path d="{"".join(path)}" fill="{colour}" fill-opacity="{fill}" stroke="{colour}" stroke-width="1.6"{dash}/>')

    def line(self, xs, ys, colour, dashed=False):
        points = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys))
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        self.parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.2"{dash}/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.5" fill="{colour}" stroke="#fff"/>')

    def hatch(self, low, high, name):
        """The range as a hatched area behind what follows."""
        x0, x1 = self.x(low), self.x(high)
        if x1 > x0:
            self.parts.append(f'<defs><pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse" '
                              f'patternTransform="rotate(45)"><path d="M0 0V6" stroke="{YELLOW}" stroke-width="2.5"/></pattern></defs>'
                              f'<rect x="{x0:.1f}" y="{TOP}" width="{x1 - x0:.1f}" height="{HEIGHT - BOTTOM - TOP}" '
                              f'fill="url(#{name})" fill-opacity="0.55"/>')

    def upright(self, at, text, colour=GREY, below=0):
        """A line at x, labelled at its top, or so many lines below."""
        if not self.low <= at <= self.high:
            return
        x = self.x(at)
        end = x > WIDTH * 0.62
        self.parts.append(f'<path d="M{x:.1f} {TOP - 4}V{HEIGHT - BOTTOM}" stroke="{colour}" stroke-width="1.6" stroke-dasharray="2 2"/>')
        self.text(x + (-4 if end else 4), TOP + 4 + 15 * below, text, "end" if end else "start")

    def svg(self):
        return "".join(self.parts) + "</svg>"


def shared_bar(parts, about):
    """A bar of 100 %: parts are (share, colour, name)."""
    out, at = [f'<svg class="bar" viewBox="0 0 360 22" role="img" preserveAspectRatio="none" aria-label="{esc(about)}">'], 0.0
    for share, colour, name in parts:
        out.append(f'<rect x="{at * 360:.2f}" width="{share * 360:.2f}" height="22" fill="{colour}" stroke="#fff" stroke-width="1">'
                   f"<title>{esc(name)}</title></rect>")
        at += share
    return "".join(out) + "</svg>"


# ---- thumbnails ----


def png(pixels):
    """An (H, W) or (H, W, 3) uint8 array as the bytes of a PNG file."""
    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2
    lines = b"".join(b"\0" + pixels[i].tobytes() for i in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b""))


def picture(data, kind, alt):
    """An <img> with its bytes inside."""
    return f'<img class="thumb" alt="{esc(alt)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
