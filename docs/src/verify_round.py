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

# Per game: number of outcomes, the first outcome as displayed, and the key of its move.
GAMES = {
    "COIN_FLIP": (2, 0, "coinFlip"),
    "DICE": (100, 1, "dice"),
    "LUCKY_NUMBER": (10, 1, "luckyNumber"),
}

OWN_ROUNDS_QUERY = """
query Rounds($after: String) {
  me {
    rounds(first: 100, after: $after) {
      nodes { id game status serverSeedHash serverSeed clientSeed move outcome won points }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

VERIFY_QUERY = "query Check($id: ID!) { verifyRound(id: $id) { outcome serverSeedHash explanation } }"


def draw_outcome(server_seed, client_seed, round_id, n):
    """Draws one of n outcomes, counted from 0."""
    limit = 2**32 // n * n
    for counter in itertools.count():
        message = f"{client_seed}:{round_id}:{counter}"
        digest = hmac.new(server_seed, message.encode(), hashlib.sha256).digest()
        for number in struct.unpack(">8I", digest):
            if number < limit:
                return number % n


def is_won(game, move, outcome):
    """Whether a move wins by a displayed outcome."""
    guess = move[GAMES[game][2]]
    if game == "COIN_FLIP":
        return outcome == ("HEADS", "TAILS").index(guess)
    if game == "DICE":
        return outcome > guess["target"] if guess["over"] else outcome < guess["target"]
    return outcome == guess


def find_problems(round_):
    """Compares a round with what follows from its seeds. Returns the differences as texts."""
    if round_["status"] == "OPEN":
        return ["it can be played still, and shows its seed"] if round_["serverSeed"] else []
    server_seed = bytes.fromhex(round_["serverSeed"])
    expected = {"serverSeedHash": hashlib.sha256(server_seed).hexdigest()}
    if round_["status"] == "PLAYED":
        n, first, _ = GAMES[round_["game"]]
        outcome = first + draw_outcome(server_seed, round_["clientSeed"], round_["id"], n)
        winning = sum(is_won(round_["game"], round_["move"], other) for other in range(first, first + n))
        won = is_won(round_["game"], round_["move"], outcome)
        expected.update(outcome=outcome, won=won, points=10 * n // winning if won else 0)
    else:
        expected.update(outcome=None, won=None, points=None)
    # Compared as JSON, because 1 == True in Python.
    pairs = {name: (json.dumps(round_[name]), json.dumps(value)) for name, value in expected.items()}
    return [f"{name} is {actual}, and should be {wanted}" for name, (actual, wanted) in pairs.items() if actual != wanted]


def post_query(url, query, variables):
    """Sends a query. Returns the response's data."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if os.environ.get("TOKEN"):
        headers["Authorization"] = "Bearer " + os.environ["TOKEN"]
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        body = json.load(response)
    if body.get("errors"):
        raise ValueError(body["errors"][0]["message"])
    return body["data"]


def own_rounds(url):
    """All rounds of the token's user."""
    page = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        rounds = post_query(url, OWN_ROUNDS_QUERY, {"after": page["endCursor"]})["me"]["rounds"]
        yield from rounds["nodes"]
        page = rounds["pageInfo"]


def explained_round(url, round_id):
    """A round, reconstructed from verifyRound's explanation."""
    verification = post_query(url, VERIFY_QUERY, {"id": round_id})["verifyRound"]

    def match(pattern):
        return re.search(pattern, verification["explanation"], re.M) or [None] * 3

    round_ = {"id": round_id, "serverSeedHash": verification["serverSeedHash"], "serverSeed": match(r"^1\. .* is (\w+):")[1]}
    text = match(r'^3\. .* of the text (".*"), has')[1]
    if text is None:
        return {**round_, "status": "EXPIRED", "outcome": None, "won": None, "points": None}
    move = json.loads(match(r"^6\. The move (.*) wins by")[1])
    (game,) = (game for game, (_, _, member) in GAMES.items() if member in move)
    result = match(r"^7\. .* (won|lost), for (\d+) points")
    round_.update(status="PLAYED", game=game, move=move, outcome=verification["outcome"])
    round_.update(won=result[1] == "won", points=int(result[2]))
    return {**round_, "clientSeed": json.loads(text)[: -len(f":{round_id}:0")]}


def rounds_in(value):
    """All rounds anywhere in a response."""
    if isinstance(value, dict):
        if "serverSeedHash" in value:
            yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from rounds_in(item)


def rounds_in_file(path):
    """All rounds in a file of responses."""
    with open(path, encoding="utf-8") as file:
        return rounds_in(json.load(file))


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 2
    source, *ids = arguments
    if not source.startswith(("http://", "https://")):
        rounds = itertools.chain.from_iterable(map(rounds_in_file, arguments))
    else:
        rounds = (explained_round(source, round_id) for round_id in ids) if ids else own_rounds(source)
    hashes, checked, wrong = {}, 0, 0
    for round_ in rounds:
        try:
            problems = find_problems(round_)
            if hashes.setdefault(round_["id"], round_["serverSeedHash"]) != round_["serverSeedHash"]:
                problems.append("serverSeedHash is another than the one before")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problems = [f"it cannot be read: {error!r}"]
        checked += 1
        wrong += bool(problems)
        print(round_.get("id"), "; ".join(problems) or f"OK, {round_['status']}")
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
