"""The checksums in a PNG file: Pillow does not look at those of the pixels, and some damages decode all the same."""

from __future__ import annotations

from zlib import crc32

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LENGTH, NAME, SUM = 4, 4, 4  # bytes of a chunk beside its data


def damage(content: bytes) -> str:
    """What is wrong with a PNG file: a chunk has another checksum than when it was written; "" = nothing."""
    if not content.startswith(SIGNATURE):
        return "it begins otherwise"
    view, place, name = memoryview(content), len(SIGNATURE), b""
    while name != b"IEND":
        start = place + LENGTH
        end = start + NAME + int.from_bytes(view[place:start], "big")
        if end + SUM > len(view):
            return "it is cut short"
        name, place = bytes(view[start : start + NAME]), end + SUM
        if crc32(view[start:end]) != int.from_bytes(view[end:place], "big"):
            return f"its {name.decode('latin-1')!r} has another checksum than when it was written"
    return ""
