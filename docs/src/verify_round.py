#!/usr/bin/env python3
"""Checks rounds of Switchboard's games by what its API answers, and by nothing else.

    python3 verify_round.py http://127.0.0.1:8000/graphql
    python3 verify_round.py http://127.0.0.1:8000/graphql rnd_...
    python3 verify_round.py answer.json ...

The first checks all rounds of whoever the access token in $TOKEN is of. The second checks anybody's rounds by what
verifyRound says of them. The third checks the rounds in answers that were kept, and that no round was shown two
different hashes: keep what startRound answered, too.

Ends with 1 when a round is not what follows from its seeds, and with 2 when there are none to check. Needs Python
3.8 or newer, and nothing besides.
"""

import hashlib
import hmac
import itertools
import json
import os
import re
import struct
import sys
import urllib.request

# How many outcomes each game has, what the first of them is called, and its member of a move.
GAMES = {
    "COIN_FLIP": (2, 0, "coinFlip"),
    "DICE": (100, 1, "dice"),
    "LUCKY_NUMBER": (10, 1, "luckyNumber"),
}

MY_ROUNDS = """
query Rounds($after: String) {
  me {
    rounds(first: 100, after: $after) {
      nodes { id game status serverSeedHash serverSeed clientSeed move outcome won points }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

CHECK = "query Check($id: ID!) { verifyRound(id: $id) { outcome serverSeedHash explanation } }"


def outcome(server_seed, client_seed, round_id, n):
    """What is drawn of n outcomes, counted from 0."""
    fair = 2**32 // n * n
    for counter in itertools.count():
        message = f"{client_seed}:{round_id}:{counter}"
        digest = hmac.new(server_seed, message.encode(), hashlib.sha256).digest()
        for number in struct.unpack(">8I", digest):
            if number < fair:
                return number % n


def is_won(game, move, shown):
    """Whether a move wins by an outcome, as players call it."""
    said = move[GAMES[game][2]]
    if game == "COIN_FLIP":
        return shown == ("HEADS", "TAILS").index(said)
    if game == "DICE":
        return shown > said["target"] if said["over"] else shown < said["target"]
    return shown == said


def problems(told):
    """What is wrong with a round, in words."""
    if told["status"] == "OPEN":
        return ["it can be played still, and shows its seed"] if told["serverSeed"] else []
    server_seed = bytes.fromhex(told["serverSeed"])
    found = {"serverSeedHash": hashlib.sha256(server_seed).hexdigest()}
    if told["status"] == "PLAYED":
        n, first, _ = GAMES[told["game"]]
        shown = first + outcome(server_seed, told["clientSeed"], told["id"], n)
        wins = sum(is_won(told["game"], told["move"], other) for other in range(first, first + n))
        won = is_won(told["game"], told["move"], shown)
        found.update(outcome=shown, won=won, points=10 * n // wins if won else 0)
    else:
        found.update(outcome=None, won=None, points=None)
    # Compared as JSON, where 1 and true are two things.
    written = {name: (json.dumps(told[name]), json.dumps(value)) for name, value in found.items()}
    return [f"{name} is {it}, and should be {not_it}" for name, (it, not_it) in written.items() if it != not_it]


def ask(url, query, variables):
    """What the API answers."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if os.environ.get("TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["TOKEN"]
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    if answer.get("errors"):
        raise ValueError(answer["errors"][0]["message"])
    return answer["data"]


def mine(url):
    """All rounds of whoever asks."""
    page = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        rounds = ask(url, MY_ROUNDS, {"after": page["endCursor"]})["me"]["rounds"]
        yield from rounds["nodes"]
        page = rounds["pageInfo"]


def anybodys(url, round_id):
    """A round as verifyRound explains it."""
    check = ask(url, CHECK, {"id": round_id})["verifyRound"]

    def said(pattern):
        return re.search(pattern, check["explanation"], re.M) or [None] * 3

    told = {"id": round_id, "serverSeedHash": check["serverSeedHash"], "serverSeed": said(r"^1\. .* is (\w+):")[1]}
    text = said(r'^3\. .* of the text (".*"), has')[1]
    if text is None:
        return {**told, "status": "EXPIRED", "outcome": None, "won": None, "points": None}
    move = json.loads(said(r"^6\. The move (.*) wins by")[1])
    (game,) = (game for game, (_, _, member) in GAMES.items() if member in move)
    ended = said(r"^7\. .* (won|lost), for (\d+) points")
    told.update(status="PLAYED", game=game, move=move, outcome=check["outcome"])
    told.update(won=ended[1] == "won", points=int(ended[2]))
    return {**told, "clientSeed": json.loads(text)[: -len(f":{round_id}:0")]}


def rounds_in(value):
    """All rounds anywhere in an answer."""
    if isinstance(value, dict):
        if "serverSeedHash" in value:
            yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from rounds_in(item)


def kept(path):
    """All rounds of a file."""
    with open(path, encoding="utf-8") as file:
        return rounds_in(json.load(file))


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 2
    place, *ids = arguments
    if not place.startswith(("http://", "https://")):
        rounds = itertools.chain.from_iterable(map(kept, arguments))
    else:
        rounds = (anybodys(place, round_id) for round_id in ids) if ids else mine(place)
    hashes, checked, wrong = {}, 0, 0
    for told in rounds:
        try:
            found = problems(told)
            if hashes.setdefault(told["id"], told["serverSeedHash"]) != told["serverSeedHash"]:
                found.append("serverSeedHash is another than the one before")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            found = [f"it cannot be read: {error!r}"]
        checked += 1
        wrong += bool(found)
        print(told.get("id"), "; ".join(found) or f"OK, {told['status']}")
    print(f"{checked} rounds, {wrong} of them wrong")
    if not checked:
        return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, TypeError, ValueError) as error:
        print(f"verify_round.py: {error}", file=sys.stderr)
        sys.exit(2)
