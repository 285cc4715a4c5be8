"""Cut the font of the formulas out of STIX Two Math: python docs/tools/formula_font.py FONT.

FONT is files/stix-two-math-latin-400-normal.woff2 of the npm package @fontsource/stix-two-math; SOURCE.txt,
beside what it writes, has its checksum. It wants fonttools and brotli, which nothing else here does.
"""

import sys
from pathlib import Path

OUTPUT = Path(__file__).parent / "static" / "stix-two-math.woff2"
#: What formulas are written with: Latin and Greek, upright, and as browsers set them, italic and bold; signs.
RANGES = (
    *((0x20, 0x7E), (0xA0, 0xD7), (0xF7, 0xF7), (0x0302, 0x0308), (0x0338, 0x0338), (0x0391, 0x03F5)),
    *((0x2016, 0x2016), (0x2020, 0x2026), (0x2032, 0x2034), (0x2061, 0x2064), (0x2102, 0x2102)),
    *((0x210E, 0x210E), (0x2113, 0x2113), (0x211D, 0x211D), (0x2190, 0x2199), (0x21D0, 0x21D4)),
    *((0x2200, 0x222B), (0x2248, 0x2248), (0x2260, 0x2265), (0x226A, 0x226B), (0x2282, 0x2287)),
    *((0x2295, 0x2299), (0x22A4, 0x22A5), (0x22C5, 0x22C6), (0x22EF, 0x22EF), (0x2308, 0x230B)),
    *((0x23DE, 0x23DF), (0x27E8, 0x27E9), (0x1D400, 0x1D467), (0x1D6A8, 0x1D71B)),
)


def main() -> None:
    """Write the part."""
    from fontTools import subset  # which the tests, that read the ranges, have not

    options = subset.Options(flavor="woff2", layout_features=["ssty", "dtls"], name_IDs=["*"], hinting=False)
    font = subset.load_font(sys.argv[1], options)
    part = subset.Subsetter(options)
    part.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    part.subset(font)
    subset.save_font(font, OUTPUT, options)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
