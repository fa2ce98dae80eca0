"""Tags with title, artist and cover picture that lie before, between and behind the frames of an mp3."""


def after_id3(head: bytes) -> int:
    """Where an ID3v2 tag at the start ends, 0 without one."""
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    a, b, c, d = (byte & 0x7F for byte in head[6:10])
    has_footer = head[5] & 0x10
    return 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if has_footer else 0)


def after_tags(data: bytes, start: int) -> int:
    """Where the tags end that lie at `start`: ID3v2 and APEv2, which tell their size, and ID3v1.

    A tag that would end behind the data is none.
    """
    while True:
        head = data[start : start + 16]
        if head.startswith(b"ID3"):
            end = start + after_id3(head)
        elif head.startswith(b"APETAGEX"):
            end = start + 32 + int.from_bytes(head[12:16], "little")
        elif head.startswith(b"TAG"):
            end = start + 128
        else:
            return start
        if not start < end <= len(data):
            return start
        start = end
