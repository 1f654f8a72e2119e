# ruff: noqa: E501
"""Small stories of who did what, where, when and why, with a question for every part."""

from __future__ import annotations

import random
from dataclasses import dataclass

from words import person, pick, town

# past; base; participle; what; where
FRAMES = [
    [part.strip() for part in line.split("|")]
    for line in """
hid|hide|hidden|the key, a letter, the silver coins, a map, the ring, the old diary|under the mat, behind the clock, in a flower pot, in the hollow tree, beneath a loose brick
found|find|found|a wallet, an injured owl, the missing glove, a bottle with a message, an old sword, a wedding ring|on the beach, in the attic, under the bench, behind the stable, near the station
lost|lose|lost|an umbrella, the purse, a red scarf, the tickets, a violin, the house keys|on the train, in the market, at the theatre, in the forest, on the ferry
bought|buy|bought|a second-hand bicycle, three melons, a green lamp, a pair of boots, a clock, six chairs|at the fair, in a shop by the bridge, from a farmer, at an auction, in the new arcade
sold|sell|sold|the old cart, a painting, honey, the boat, a stamp collection, two calves|at the weekly market, in the next village, at the harbour, on the square
planted|plant|planted|an apple tree, tulips, a row of beans, a young oak, lavender|in front of the school, behind the church, along the wall, in the yard
repaired|repair|repaired|the roof, a broken fence, the church bell, the radio, an old tractor|in the barn, in the workshop, behind the house, at the garage
painted|paint|painted|the gate, a portrait of the mayor, the boat, the kitchen wall, a sign|in the garden, on the landing stage, in the cellar, at the mill
built|build|built|a tree house, a raft, a stone oven, a kennel, a wooden bridge|by the river, behind the cottage, on the hill, at the edge of the wood
stole|steal|stolen|a ham, the golden cup, two loaves, a bracelet, the captain's hat|from the church, from the pantry, out of the shop window, from the inn
brought|bring|brought|a basket of cherries, hot soup, the newspaper, a bunch of roses, firewood|to the hospital, to the cabin, to the office, to the lighthouse
carried|carry|carried|a heavy trunk, the sleeping child, a ladder, two buckets of water, a drum|up the stairs, across the bridge, to the top of the tower, through the snow
saw|see|seen|a fox, a strange light, the doctor, a hot-air balloon, two deer|in the orchard, above the lake, at the crossroads, near the old mine
met|meet|met|an old friend, the new teacher, a travelling singer, a policeman, the priest|at the bus stop, in the bakery, on the bridge, at the concert
caught|catch|caught|a large pike, the thief, a butterfly, the runaway horse, a cold|in the lake, behind the station, in the meadow, at the harbour
wrote|write|written|a long letter, a poem, a song about the sea, a complaint, the report|in the library, on the train, at the kitchen table, in a tent
read|read|read|an old novel, the letter, a book about stars, the timetable|in the waiting room, in bed, under the chestnut tree, on the balcony
left|leave|left|a parcel, the lantern, a muddy coat, the dog, a note|at the station, on the doorstep, in the hall, with the neighbour, on the counter
buried|bury|buried|a box of toys, the old cat, a jar of coins, the bones|under the apple tree, in the sand, behind the chapel
cooked|cook|cooked|a pot of lentils, pancakes, a trout, cabbage soup|on the beach, in the school kitchen, over a camp fire
threw|throw|thrown|a stone, the ball, an old shoe, a snowball|into the pond, over the wall, through the window, at the scarecrow
washed|wash|washed|the curtains, a muddy pony, twelve shirts, the windows|in the stream, behind the inn, in the yard
broke|break|broken|a blue vase, the window, a wooden leg, two plates|in the dining room, at the school, on the stairs
opened|open|opened|a small shop, the iron gate, the last tin of beans, a bakery|in Mill Lane, at noon, on the corner of the square
cut|cut|cut|the hedge, a slice of cake, the rope, the hay|in the garden, at the party, on the deck, behind the barn
heard|hear|heard|a scream, music, the cry of an owl, footsteps|in the corridor, from the cellar, outside the tent
kept|keep|kept|rabbits, a diary, the spare key, bees, old coins|in a shed, on the roof, in a drawer, behind the house
took|take|taken|the last biscuit, a photograph, the wrong coat, a short cut|from the plate, on the pier, at the restaurant, through the park
dropped|drop|dropped|a tray, the camera, a bag of flour, an ice cream|in the river, on the platform, at the door, into the well
""".strip().splitlines()
]
TIMES = pick(
    "on Monday; last summer; in the morning; after dinner; before sunrise; on Christmas Eve; at midnight; in April; on the third day; "
    "during the storm; after school; in the spring of 1962; one evening; at noon; on her birthday; two days later; early on Sunday; "
    "in winter; on the way home; just after lunch"
)
REASONS = pick(
    "the bridge was closed; it had begun to rain; nobody was at home; the shop was about to close; the old one was broken; it was cheaper; "
    "the children were hungry; there was no other way; the wind had changed; a guest was expected; the doctor had advised it; "
    "the clock had stopped; it was too cold to wait; the neighbours had complained; the train was late; everybody was asleep"
)
WITH = pick(
    "with a rope; with a long knife; with the help of a neighbour; with bare hands; with a borrowed hammer; with great care; with an old spoon; with two assistants"
)
RECEIVERS = pick(
    "the gardener; a sick aunt; the new teacher; the stationmaster; a blind man; the twins; the postman; a cousin; the old widow; the soldiers"
)
GIVE = [
    line.split("|")
    for line in pick(
        "gave|give|given; sent|send|sent; showed|show|shown; lent|lend|lent; offered|offer|offered; handed|hand|handed"
    )
]
GIFTS = pick(
    "a pocket knife; ten coins; an old map; a warm blanket; a book of poems; a jar of honey; two tickets; a silver whistle; a puppy; a pair of gloves; a letter"
)
ROLES = pick(
    "the baker; the smith; the captain; the schoolmaster; the shepherd; the innkeeper; the nurse; the tailor; the fisherman; the old woman; the boy; the youngest sister; the guard; the conductor"
)


@dataclass
class Fact:
    """`parts` are the words of each role; `sentence` holds them between marks: `<who>…</who>`."""

    sentence: str
    questions: list[tuple[str, str]]  # role, question


def actor(draw: random.Random) -> str:
    form = draw.random()
    if form < 0.45:
        return person(draw).split()[0]
    if form < 0.6:
        return person(draw)
    return draw.choice(ROLES)


def mark(role: str, text: str) -> str:
    return f"<{role}>{text}</{role}>"


def event(draw: random.Random, who: str, others: list[str]) -> Fact:
    """One thing that happened, told in one of several ways, and what can be asked of it."""
    if draw.random() < 0.2:
        return _giving(draw, who, others)
    if draw.random() < 0.15:
        return _journey(draw, who)
    past, base, participle, things, places = draw.choice(FRAMES)
    what, where = draw.choice(things.split(", ")), draw.choice(places.split(", "))
    plural = what.endswith("s") and what.split()[0] not in ("a", "an")
    when, why, how = draw.choice(TIMES), draw.choice(REASONS), draw.choice(WITH)
    passive = draw.random() < 0.15
    has_when, has_why, has_how = draw.random() < 0.5, draw.random() < 0.35, draw.random() < 0.2 and not passive
    core = f"{past} {mark('what', what)} {mark('where', where)}"
    if has_how:
        core += f" {mark('how', how)}"
    if passive:
        sentence = f"{mark('what', what)} {'were' if plural else 'was'} {participle} {mark('where', where)} by {mark('who', who)}"
    else:
        sentence = f"{mark('who', who)} {core}"
    if has_when:
        sentence = (
            f"{mark('when', when)} {sentence}"
            if draw.random() < 0.5 and not passive
            else f"{sentence} {mark('when', when)}"
        )
    if has_why:
        linked = draw.choice(["because {}", "because {}", "since {}", "as {}"])
        sentence += ", " * (draw.random() < 0.3) + " " + linked.format(mark("why", why))
        sentence = sentence.replace(",  ", ", ")
    plain = what
    asked = [
        (
            "who",
            draw.choice(
                [
                    f"Who {past} {plain}?",
                    f"Who {past} {plain} {where}?",
                    f"By whom {'were' if plural else 'was'} {plain} {participle}?",
                ]
            ),
        ),
        (
            "what",
            draw.choice(
                [
                    f"What did {who} {base}?",
                    f"What did {who} {base} {where}?",
                    f"What was {participle} {where}?",
                    f"What was {participle} by {who}?",
                ]
            ),
        ),
        (
            "where",
            draw.choice(
                [
                    f"Where did {who} {base} {plain}?",
                    f"Where did {who} {base} {plain}?",
                    f"Where was {plain} {participle}?",
                    f"Where was it that {who} {past} {plain}?",
                ]
            ),
        ),
    ]
    if has_when:
        asked.append(
            (
                "when",
                draw.choice(
                    [
                        f"When did {who} {base} {plain}?",
                        f"When was {plain} {participle}?",
                        f"When did {who} {base} something {where}?",
                    ]
                ),
            )
        )
    if has_why:
        asked += 2 * [
            (
                "why",
                draw.choice(
                    [
                        f"Why did {who} {base} {plain}?",
                        f"Why was {plain} {participle}?",
                        f"For what reason did {who} {base} {plain}?",
                    ]
                ),
            )
        ]
    if has_how:
        asked.append(("how", draw.choice([f"How did {who} {base} {plain}?", f"With what did {who} {base} {plain}?"])))
    return Fact(sentence, asked)


def _giving(draw: random.Random, who: str, others: list[str]) -> Fact:
    past, base, participle = draw.choice(GIVE)
    gift, receiver = draw.choice(GIFTS), draw.choice([*RECEIVERS, *others]) if others else draw.choice(RECEIVERS)
    when = draw.choice(TIMES)
    if draw.random() < 0.5:
        sentence = f"{mark('who', who)} {past} {mark('whom', receiver)} {mark('what', gift)}"
    else:
        sentence = f"{mark('who', who)} {past} {mark('what', gift)} to {mark('whom', receiver)}"
    asked = [
        (
            "who",
            draw.choice(
                [
                    f"Who {past} {receiver} {gift}?",
                    f"From whom did {receiver} get {gift}?",
                    f"Who {past} {gift} to {receiver}?",
                ]
            ),
        ),
        (
            "what",
            draw.choice(
                [
                    f"What did {who} {base} {receiver}?",
                    f"What did {receiver} get from {who}?",
                    f"What was {receiver} {participle}?",
                ]
            ),
        ),
        (
            "whom",
            draw.choice(
                [
                    f"Who did {who} {base} {gift} to?",
                    f"To whom did {who} {base} {gift}?",
                    f"Who got {gift}?",
                    f"Who was {participle} {gift} by {who}?",
                ]
            ),
        ),
    ]
    if draw.random() < 0.4:
        sentence += f" {mark('when', when)}"
        asked.append(("when", f"When did {who} {base} {gift} to {receiver}?"))
    return Fact(sentence, asked)


def _journey(draw: random.Random, who: str) -> Fact:
    past, base = draw.choice(
        [
            ("went", "go"),
            ("walked", "walk"),
            ("travelled", "travel"),
            ("ran", "run"),
            ("rode", "ride"),
            ("sailed", "sail"),
        ]
    )
    to = draw.choice(
        [
            town(draw),
            "the mill",
            "the next village",
            "the lighthouse",
            "the old castle",
            "the market",
            "the island",
            "the forest",
        ]
    )
    means = draw.choice(
        pick("by train; on a donkey; by boat; on foot; in a sledge; on a bicycle; with a lantern; in a borrowed cart")
    )
    purpose = draw.choice(
        pick(
            "to fetch the doctor; to buy salt; to look for the lost cow; to sell eggs; to visit an uncle; to see the king; to ask for help; to gather mushrooms"
        )
    )
    length = draw.choice(pick("three days; two hours; a whole week; nearly an hour; all night; ten minutes"))
    sentence = f"{mark('who', who)} {past} to {mark('where', to)}"
    asked = [
        ("who", f"Who {past} to {to}?"),
        (
            "where",
            draw.choice(
                [f"Where did {who} {base}?", f"Where did {who} {base} to?", f"To what place did {who} {base}?"]
            ),
        ),
    ]
    if draw.random() < 0.5:
        sentence += f" {mark('how', means)}"
        asked.append(("how", draw.choice([f"How did {who} get to {to}?", f"How did {who} {base} to {to}?"])))
    if draw.random() < 0.6:
        sentence += f" {mark('why', purpose)}"
        asked += 2 * [("why", draw.choice([f"Why did {who} {base} to {to}?", f"What did {who} {base} to {to} for?"]))]
    if draw.random() < 0.3:
        sentence += f", which took {mark('long', length)}"
        asked.append(
            ("long", draw.choice([f"How long did it take {who} to get to {to}?", f"How long did {who} {base}?"]))
        )
    return Fact(sentence, asked)
