"""Write ``emdvc/render/glyphs.bin``: the letters of emdvc's pictures, rasterised once.

Pictures are outputs of stages, so their bytes must be the same on every machine; a font renderer's next release may
shade a letter otherwise. The letters are therefore drawn here, by hand-run script, and shipped as numbers::

    pip install pillow matplotlib     # matplotlib ships DejaVu Sans
    python tools/make_glyphs.py

DejaVu Sans is free to use, copy and embed (Bitstream Vera licence, DejaVu changes in the public domain); its licence
is kept in ``emdvc/render/glyphs.LICENSE``.

The file: ``EMGLYPHS``, then zlib-compressed UTF-8 JSON ``{size: {character: [advance, left, top, width, height]}}``
terminated by a newline, then the coverage (0 to 255) of all letters in that order, row by row. ``left`` and ``top`` are
the offset of the letter's box from the pen at the top of the line; all numbers are pixels.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

#: Pixels per em of the two sizes that pictures use.
SIZES = (14, 18)

CHARACTERS = "".join(
    [
        *(chr(code) for code in range(0x20, 0x7F)),  # ASCII
        *(chr(code) for code in range(0xA1, 0x100) if code != 0xAD),  # Latin-1: names of people and places, Å ° µ × ²
        *(chr(code) for code in range(0x3B1, 0x3CA)),  # lower-case Greek
        "ΔΣΦΩ",
        "⁰⁴⁵⁶⁷⁸⁹⁻⁺",
        "−–…√≤≥≈∞→‰",
    ]
)


def rasterise(font_path: Path, sizes: tuple[int, ...] = SIZES) -> bytes:
    """Return the content of the file for a TrueType font."""
    from PIL import ImageFont

    metrics: dict[str, dict[str, list[int]]] = {}
    coverage = bytearray()
    for size in sizes:
        font = ImageFont.truetype(str(font_path), size, layout_engine=ImageFont.Layout.BASIC)
        table = metrics[str(size)] = {}
        for character in sorted(set(CHARACTERS)):
            mask, (left, top) = font.getmask2(character, mode="L", anchor="la")
            width, height = mask.size
            table[character] = [round(font.getlength(character)), left, top, width, height]
            coverage += bytes(mask)
    head = json.dumps(metrics, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return b"EMGLYPHS" + zlib.compress(head + b"\n" + bytes(coverage), 9)


def main() -> None:
    """Write the file, by default from the font that matplotlib ships."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--font", type=Path, help="DejaVuSans.ttf; by default the one in matplotlib")
    arguments = parser.parse_args()
    font = arguments.font
    if font is None:
        import matplotlib

        font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    target = Path(__file__).parents[1] / "emdvc" / "render" / "glyphs.bin"
    target.write_bytes(rasterise(font))
    licence = font.with_name("LICENSE_DEJAVU")
    if licence.is_file():
        text = licence.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
        target.with_name("glyphs.LICENSE").write_text(text, encoding="utf-8", newline="\n")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
