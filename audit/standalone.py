#!/usr/bin/env python3
"""Verifies an evidence bundle of AEGIS, or a list of all events, against a signed checkpoint. Needs Python 3.9 alone.

    python3 verify.py                                    the bundle in this folder
    python3 verify.py --key KEY --checkpoint kept.note   with the public key and a checkpoint you were given by another way
    python3 verify.py --lines lines.jsonl --key KEY --checkpoint kept.note
                                                         every event of a journal, oldest leaf first, each a JSON string

What it shows: each event stood in the journal, in its place and with these bytes, when the checkpoint was signed; the events of
a stream follow each other; the payloads are those the events committed to. What it cannot show: that what was recorded is true,
or anything about events younger than the checkpoint. A key or checkpoint taken from the bundle itself proves only that
the bundle agrees with itself: ask for both by another way.

Exit code 0: all of it holds. 1: something does not. 2: there is nothing to verify.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path

# ---- Ed25519 (RFC 8032), verification only ---------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)  # noqa: E741


def add(a, b):
    """Points in extended coordinates (X, Y, Z, T)."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def x_of(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * I % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def point_of(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def bytes_of(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = x_of(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def is_signed(public, text, signature):
    """Did the key sign these bytes?"""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, s = point_of(public), int.from_bytes(signature[32:], "little")
    if key is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    minus = (P - key[0], key[1], 1, P - key[3])
    return bytes_of(add(times(s, BASE), times(k, minus))) == signature[:32]


# ---- signed notes (C2SP) ---------------------------------------------------------------------------------------------------


class Bad(Exception):
    """What is wrong, as a sentence."""


def read_key(text):
    """(name, key id, public key) of "name+id+base64"."""
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise Bad(f"this is no public key: {text.strip()!r}") from None
    right = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if len(raw) != 33 or raw[0] != 1 or right.hex() != key_id:
        raise Bad(f"this is no Ed25519 public key: {text.strip()!r}")
    return name, right, raw[1:]


def open_note(note, keys):
    """(origin, size, root) of a checkpoint that one of the keys signed."""
    text, gap, tail = note.rpartition("\n\n")
    text += "\n"
    is_good = False
    for line in tail.rstrip("\n").split("\n") if gap else ():
        try:
            mark, name, encoded = line.split(" ")
            blob = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise Bad("the checkpoint has a line below the empty one that is no signature") from None
        for key_name, key_id, public in keys:
            if mark == "—" and (name, blob[:4]) == (key_name, key_id):
                if not is_signed(public, text.encode(), blob[4:]):
                    raise Bad(f"the signature of {name} on the checkpoint does not hold")
                is_good = True
    if not is_good:
        raise Bad("no known key signed the checkpoint")
    try:
        origin, size, root = text.split("\n")[:3]
        root = base64.b64decode(root, validate=True)
        if not size.isdigit() or len(root) != 32:
            raise ValueError
    except ValueError:
        raise Bad("the checkpoint has no origin, size and root") from None
    if origin not in {name for name, _, _ in keys}:
        raise Bad(f"the checkpoint is of another log, {origin}")
    return origin, int(size), root


# ---- the tree (RFC 9162) ---------------------------------------------------------------------------------------------------


def leaf_of(line):
    return hashlib.sha256(b"\x00" + line.encode("utf-8", "surrogatepass")).digest()


def node_of(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def is_included(leaf, index, size, path, root):
    if not 0 <= index < size:
        return False
    first, last, result = index, size - 1, leaf
    for node in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            result = node_of(node, result)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            result = node_of(result, node)
        first, last = first >> 1, last >> 1
    return last == 0 and result == root


def root_of(leaves):
    peaks = []
    for level, leaf in enumerate(leaves, 1):
        peaks.append(leaf)
        while not level & 1:
            right = peaks.pop()
            peaks[-1] = node_of(peaks[-1], right)
            level >>= 1
    if not peaks:
        return hashlib.sha256(b"").digest()
    result = peaks.pop()
    while peaks:
        result = node_of(peaks.pop(), result)
    return result


# ---- events ----------------------------------------------------------------------------------------------------------------


def check_payloads(event, content, faults, counts):
    place = f"{content['stream']}#{content['seq']}"
    committed = {entry["name"]: entry["c"] for entry in content["payload"]}
    for payload in event["payloads"]:
        state = payload.get("state", "open")
        if payload["name"] not in committed:
            faults.append(f"{place}: its line knows no payload {payload['name']!r}")
        elif state != "open":
            counts[state] = counts.get(state, 0) + 1
        else:
            opened = hashlib.sha256(
                b"aegis/payload/v1" + bytes.fromhex(payload["salt"]) + payload["body"].encode("utf-8", "surrogatepass")
            ).hexdigest()
            counts["open"] = counts.get("open", 0) + 1
            if opened != committed[payload["name"]]:
                faults.append(f"{place}: payload {payload['name']!r} is not what its line committed to")


DECIDED = "erasures by a decision, whose votes are not in here (`journal verify` asks for them)"


def check_bundle(bundle, size, root):
    """(what is wrong, what was counted)."""
    faults, counts, ends = [], {"events": 0, "not covered": 0}, {}
    told, emptied = set(), set()
    for event in bundle["events"]:
        content = json.loads(event["line"])
        place, leaf = f"{content['stream']}#{content['seq']}", leaf_of(event["line"])
        counts["events"] += 1
        index = event["leaf_index"]
        if index is None or index >= size:
            counts["not covered"] += 1
        elif not is_included(leaf, index, size, [bytes.fromhex(node) for node in event["proof"]], root):
            faults.append(f"{place}: it did not stand at leaf {index} when the checkpoint was signed")
        seq, prev = ends.get(content["stream"], (0, "0" * 64))
        if (content["seq"], content["prev"]) != (seq + 1, prev) and (seq or content["stream"] in bundle["whole"]):
            faults.append(f"{place}: it does not follow line {seq} of its stream")
        ends[content["stream"]] = (content["seq"], leaf.hex())
        check_payloads(event, content, faults, counts)
        if content["type"] == "payload.erased":
            told.update(content["data"]["places"])
            if content["data"]["basis"] == "retention":
                if content["data"].get("days", 0) < 180:
                    faults.append(f"{place}: it names a retention of less than 180 days")
            else:
                counts[DECIDED] = counts.get(DECIDED, 0) + 1
        if any(payload.get("state") == "erased" for payload in event["payloads"]):
            emptied.add(f"{content['stream']}/{content['seq']}")
    faults += [f"{place}: a payload is said to be erased, and no event says who did" for place in sorted(emptied - told)]
    return faults, counts


def check_lines(lines, size, root):
    """The first `size` events of a journal against the checkpoint, and every chain."""
    faults, ends, leaves = [], {}, []
    for index, line in enumerate(lines):
        leaf = leaf_of(line)
        leaves.append(leaf)
        try:
            content = json.loads(line)
            stream, number, named = content["stream"], content["seq"], content["prev"]
        except (ValueError, KeyError, TypeError):
            faults.append(f"leaf {index}: it is no event")
            continue
        seq, prev = ends.get(stream, (0, "0" * 64))
        if (number, named) != (seq + 1, prev):
            faults.append(f"leaf {index}, {stream}#{number}: it does not follow line {seq} of its stream")
        ends[stream] = (number, leaf.hex())
    if len(leaves) < size:
        faults.append(f"the checkpoint is of {size} events, {len(leaves)} are left")
    elif root_of(leaves[:size]) != root:
        faults.append(f"the first {size} events are not those of the checkpoint")
    return faults, {"events": len(leaves), "not covered": max(len(leaves) - size, 0)}


# ---- the command -----------------------------------------------------------------------------------------------------------


def main(arguments):
    parser = argparse.ArgumentParser(description="Verify evidence of AEGIS against a signed checkpoint.")
    parser.add_argument("folder", nargs="?", default=str(Path(__file__).resolve().parent), help="of the bundle")
    parser.add_argument("--lines", help="instead of a bundle: every event of a journal, a JSON string each")
    parser.add_argument("--key", action="append", default=[], help="public key you were given by another way")
    parser.add_argument("--checkpoint", help="checkpoint you kept yourself; of a bundle: the one its proofs are for")
    options = parser.parse_args(arguments)
    try:
        bundle = None
        if not options.lines:
            bundle = json.loads((Path(options.folder) / "bundle.json").read_text(encoding="utf-8"))
        keys = [read_key(text) for text in options.key or (bundle["keys"] if bundle else [])]
        note = Path(options.checkpoint).read_text(encoding="utf-8") if options.checkpoint else bundle["checkpoint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"Nothing to verify: {error}")
        return 2
    except Bad as error:
        print(f"FAILED: {error}")
        return 1
    try:
        origin, size, root = open_note(note, keys)
        if bundle is not None:
            faults, counts = check_bundle(bundle, size, root)
        else:
            lines = [json.loads(line) for line in Path(options.lines).read_text(encoding="utf-8").splitlines() if line]
            faults, counts = check_lines(lines, size, root)
    except Bad as error:
        faults, counts, origin, size = [str(error)], {}, "?", 0
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        faults, counts, origin, size = [f"it is not of the form of a bundle: {error!r}"], {}, "?", 0
    for fault in faults[:50]:
        print(f"FAILED: {fault}")
    print(f"Log {origin}, checkpoint of {size} events. " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    if faults:
        print(f"{len(faults)} faults. This evidence does NOT hold.")
        return 1
    if not options.key or not options.checkpoint:
        print("It agrees with itself. For proof, give --key and --checkpoint as you were given them by another way.")
    if counts.get("not covered"):
        print(f"{counts['not covered']} events are younger than the checkpoint: of these nothing is proved.")
    print("All that the checkpoint covers holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
