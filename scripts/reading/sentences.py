# ruff: noqa: E501
"""Questions made of sentences in books by rules: who said it, who did it, what, where, when, how many and why."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from words import pick

IRREGULAR = """
was be; were be; had have; went go; came come; saw see; took take; gave give; found find; told tell; made make; knew know; thought think;
got get; left leave; kept keep; held hold; stood stand; sat sit; ran run; brought bring; caught catch; bought buy; fell fall; felt feel;
heard hear; met meet; lost lose; built build; sent send; spoke speak; broke break; chose choose; drew draw; drank drink; drove drive;
ate eat; flew fly; forgot forget; grew grow; hid hide; laid lay; led lead; lit light; paid pay; rode ride; rose rise; sang sing; sold sell;
shook shake; shot shoot; slept sleep; spent spend; stole steal; struck strike; swam swim; threw throw; understood understand; wore wear;
won win; wrote write; began begin; blew blow; bore bear; bound bind; bent bend; dug dig; fought fight; fed feed; hung hang; knelt kneel;
leapt leap; meant mean; rang ring; sank sink; sought seek; spread spread; sprang spring; stuck stick; swore swear; tore tear; woke wake;
put put; set set; cut cut; let let; shut shut; read read; became become; taught teach; lay lie
"""
REGULAR = """
ask answer call cry look live love like want help turn walk open close carry follow reach enter fill finish jump kill kiss laugh learn listen
marry miss move name need notice order pass pick place plant play point pour prepare promise pull push receive remember return save seem serve
show sleep smile start stay stop talk taste thank touch travel try visit wait wash watch wish wonder work climb cross cover cook count clean
discover drag dress drop earn escape fetch fix gather guard hand hate invite join knock land lift lock lower manage offer paint peep pack
refuse remain repeat rest roll rub rush sail search seize settle share shout sign stare step stretch suffer tie trust wander warn whisper
decide declare discover admire beg borrow bury chase collect destroy desire dine explain gaze hurry mount obey perform punish rescue scold
throw spoil summon toss tremble tumble use vanish wave weep wrap
"""
BASE = dict(pair.split() for pair in IRREGULAR.replace("\n", " ").split(";") if pair.strip())
for word in REGULAR.split():
    double = re.fullmatch(r".*[^aeiou][aeiou][bdgmnprt]", word) and len(word) <= 4
    past = (
        word + "d"
        if word.endswith("e")
        else word[:-1] + "ied"
        if re.search(r"[^aeiou]y$", word)
        else word + ("" if not double else word[-1]) + "ed"
    )
    BASE.setdefault(past, word)
PEOPLE = pick(
    "man; woman; king; queen; prince; princess; boy; girl; mother; father; brother; sister; witch; fairy; giant; soldier; son; daughter; maid; maiden; servant; merchant; shepherd; captain; doctor; lady; gentleman; child; children; people; wife; husband; youth; dwarf; old; teacher; master; mistress; tailor; sailor; pirate; emperor; nurse; porter; lion; wolf; cat; dog; fox; horse; donkey; eagle; bear; tiger; frog; mole; rat; toad; badger; bird; monkey; scarecrow; woodman; tinman; wizard; sultan; minister; stranger; thief; robber; hunter; aunt; uncle; grandmother; grandfather; squire; cook"
)
VERB = "|".join(sorted((v for v in BASE if v not in ("was", "were", "had", "let")), key=len, reverse=True))
NOUN = r"(?:(?:[Tt]he|[Aa]n?|[Hh]is|[Hh]er|[Tt]heir|[Oo]ne|[Ss]ome) (?:[a-z-]+ ){0,3}?[a-z-]+|(?:Mr\.|Mrs\.|Miss|Aunt|Uncle|King|Queen|Prince|Princess|Captain|Father|Mother|Little|Doctor)? ?[A-Z][a-z]+(?: [A-Z][a-z]+)?)"
END = r"(?=[.;,!?:—]|--| and | but | who | which | that | when | where | while | because | as | for | if )"
PREPOSITION = r"(?:into|in|at|on|under|near|behind|beside|to|from|through|over|across|upon|by|before|round|among)"
PLACE = rf"{PREPOSITION} (?:the|a|an|his|her|their|its) (?:[a-z-]+ ){{0,2}}[a-z-]+"
TIMES = r"(?:[Oo]ne (?:day|morning|evening|night|summer|winter)|[Tt]he next (?:day|morning|evening)|[Tt]hat (?:night|evening|morning|day)|[Ii]n the (?:morning|evening|afternoon|night|middle of the night)|[Aa]t (?:midnight|noon|night|sunset|sunrise|dawn)|[Ee]very (?:day|morning|night|evening|year)|[Aa]fter (?:dinner|supper|breakfast|tea|school)|[Oo]n (?:Sunday|Monday|Saturday|Friday)|[Tt]hree days later|[Ll]ast (?:night|year|week))"
NUMBERS = pick(
    "two; three; four; five; six; seven; eight; nine; ten; eleven; twelve; twenty; thirty; forty; fifty; hundred"
)
STOP = {
    "I",
    "It",
    "He",
    "She",
    "They",
    "We",
    "You",
    "There",
    "This",
    "That",
    "What",
    "But",
    "And",
    "So",
    "Then",
    "When",
    "Now",
    "Oh",
    "If",
    "At",
    "In",
    "As",
    "Not",
    "No",
    "Yes",
    "How",
    "Why",
    "Well",
    "Here",
    "These",
    "Those",
    "Such",
    "Nothing",
    "Everybody",
    "Nobody",
    "Everything",
    "After",
    "Before",
    "Once",
    "For",
    "By",
    "Perhaps",
    "Presently",
    "Chapter",
}


@dataclass(frozen=True)
class Made:
    """A question, and where its answer is in the sentence (characters)."""

    question: str
    start: int
    end: int
    kind: str


def paragraphs(text: str) -> list[str]:
    """Paragraphs of prose, their lines joined."""
    joined = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return [
        p
        for p in joined
        if 12 <= len(p.split()) <= 260 and not p.isupper() and "CHAPTER" not in p and "_" not in p and "*" not in p
    ]


def sentences(paragraph: str) -> list[str]:
    parts = re.split(r"(?<=[.!?][”’\"'])\s+(?=[A-Z“‘\"])|(?<=[.!?])\s+(?=[A-Z“‘\"])", paragraph)
    glued: list[str] = []
    for part in parts:
        if glued and re.search(r"\b(?:Mr|Mrs|Dr|St|Esq)\.$", glued[-1]):
            glued[-1] += " " + part
        else:
            glued.append(part)
    return glued


def lower_first(subject: str) -> str:
    first = subject.split(maxsplit=1)[0]
    return (
        subject[0].lower() + subject[1:]
        if first in ("The", "A", "An", "His", "Her", "Their", "One", "Some")
        else subject
    )


def person_like(subject: str) -> bool:
    words = subject.split()
    return (
        words[0]
        not in ("The", "A", "An", "His", "Her", "Their", "the", "a", "an", "his", "her", "their", "One", "Some")
        or words[-1] in PEOPLE
    )


def questions(sentence: str, draw: random.Random) -> Iterator[Made]:
    """Every question the rules find in the sentence."""
    yield from _speech(sentence)
    if "“" in sentence or "‘" in sentence or '"' in sentence or "?" in sentence:
        return
    yield from _because(sentence)
    yield from _named(sentence)
    yield from _clause(sentence, draw)
    yield from _numbers(sentence)


def _speech(sentence: str) -> Iterator[Made]:
    for found in re.finditer(
        rf"[“‘]([^“”‘’]{{12,90}}?)[,!?.]?[”’],? (said|cried|asked|answered|replied|exclaimed|shouted|whispered|called) ({NOUN})(?=[.;,!?:])",
        sentence,
    ):
        quote, verb, who = found.group(1), found.group(2), found.group(3)
        if who.split()[0] in STOP:
            continue
        words = quote.split()
        quote = " ".join(words[:11])
        form = {"asked": "Who asked", "cried": "Who cried", "shouted": "Who shouted", "whispered": "Who whispered"}.get(
            verb, "Who said"
        )
        yield Made(f"{form}, “{quote.rstrip(',.;!?')}”?", *found.span(3), "said")


def _because(sentence: str) -> Iterator[Made]:
    found = re.search(
        rf"^({NOUN}) ({VERB}|was|were|had) ([^,;:]{{3,60}}?),? (because|since) ([^.;:!?]{{10,80}})(?=[.;:!?])", sentence
    )
    if not found or found.group(1).split()[0] in STOP:
        return
    subject, verb, rest = lower_first(found.group(1)), found.group(2), found.group(3)
    question = f"Why {verb} {subject} {rest}?" if verb in ("was", "were") else f"Why did {subject} {BASE[verb]} {rest}?"
    yield Made(question, *found.span(5), "why")


def _named(sentence: str) -> Iterator[Made]:
    found = re.search(
        r"\b((?:a|an|the|his|her) (?:[a-z-]+ ){0,2}[a-z]+) (?:called|named|whose name was|who was called) ([A-Z][a-z]+(?: [A-Z][a-z]+)?)",
        sentence,
    )
    if found:
        thing = re.sub(r"^(a|an) ", "the ", found.group(1))
        yield Made(f"What was the name of {thing}?", *found.span(2), "name")
        yield Made(f"What was {thing} called?", *found.span(2), "name")


def _clause(sentence: str, draw: random.Random) -> Iterator[Made]:
    lead = re.match(rf"(?:({TIMES}),? |(?:Then|So|But|And|At last|Presently|Soon),? )?", sentence)
    at = lead.end() if lead else 0
    found = re.match(
        rf"({NOUN}) (?:[a-z]+ly |then |soon |at once |now |also )?({VERB}|had|was|were) (.+?){END}", sentence[at:]
    )
    if not found:
        return
    subject, verb = found.group(1), found.group(2)
    if subject.split()[0] in STOP or len(subject.split()) > 5 or found.end() > 140:
        return
    base, rest, plain = BASE[verb], found.group(3), lower_first(subject)
    when = lead.group(1) if lead else None
    start = at + found.start(1)
    wh = "Who" if person_like(subject) else "What"
    if len(rest.split()) <= 14:
        yield Made(f"{wh} {verb} {rest}?", start, start + len(subject), "who")
    if verb in ("was", "were"):
        yield (
            Made(
                f"{'How' if draw.random() < 0.3 else 'What'} {verb} {plain}?",
                at + found.start(3),
                at + found.end(3),
                "was",
            )
            if len(rest.split()) <= 6
            else Made(f"{wh} {verb} {rest}?", start, start + len(subject), "who")
        )
        if when:
            yield Made(f"When {verb} {plain} {rest}?", lead.start(1), lead.end(1), "when")
        return
    if when:
        yield Made(f"When did {plain} {base} {rest}?", lead.start(1), lead.end(1), "when")
    offset = at + found.start(3)
    place = re.search(rf"\b{PLACE}$", rest)
    before = rest[: place.start()].strip() if place else rest
    if place:
        words = place.group().split(" ", 1)
        skip = len(words[0]) + 1 if words[0] in ("in", "at", "on", "to", "into", "from") and draw.random() < 0.6 else 0
        yield Made(
            f"Where did {plain} {base}{' ' + before if before else ''}?",
            offset + place.start() + skip,
            offset + place.end(),
            "where",
        )
    thing = re.match(r"(?:the|a|an|his|her|their|its|some|two|three|four|all|no|nothing|[A-Z])[^,]*", before)
    if thing and 1 <= len(thing.group().split()) <= 7 and base not in ("be", "go", "come"):
        inner = re.search(rf" {PREPOSITION} ", before)
        stop = inner.start() if inner and draw.random() < 0.7 else len(before)
        tail = (" " + place.group() if place else "") if stop == len(before) else before[stop:]
        question = f"What did {plain} {base}{tail if draw.random() < 0.6 else ''}?"
        if person_like(before[:stop]) and before[0].isupper():
            question = "Who" + question[4:]
        yield Made(question, offset, offset + stop, "what")


def _numbers(sentence: str) -> Iterator[Made]:
    pattern = rf"\b(there were|there are|had|has|saw|have) ((?:only |about )?(?:{'|'.join(NUMBERS)}))\b ((?:[a-z-]+ )?[a-z]+s)\b"
    for found in re.finditer(pattern, sentence, re.IGNORECASE):
        verb, things = found.group(1).lower(), found.group(3)
        before = re.search(rf"({NOUN}) $", sentence[: found.start()])
        if verb.startswith("there"):
            yield Made(f"How many {things} {'were' if 'were' in verb else 'are'} there?", *found.span(2), "how many")
        elif before and before.group(1).split()[0] not in STOP and verb in ("had", "saw"):
            yield Made(
                f"How many {things} did {lower_first(before.group(1))} {BASE[verb]}?", *found.span(2), "how many"
            )


def cloze(sentence: str, draw: random.Random) -> Made | None:
    """A name or thing taken out of the sentence and asked for with the words around it (Lewis et al. 2019, section 2.2)."""
    if len(sentence.split()) < 7:
        return None
    spans = [
        (m.start(1), m.end(1), "Who")
        for m in re.finditer(r"(?<=[a-z,;] )([A-Z][a-z]{2,}(?: [A-Z][a-z]+)?)\b", sentence)
        if m.group(1) not in STOP
    ]
    spans += [
        (m.start(2), m.end(2), "Where")
        for m in re.finditer(
            rf"\b(in|at|into|near|under|behind) ((?:the|a|his|her) (?:[a-z-]+ )?[a-z-]+)\b{END}", sentence
        )
    ]
    spans += [(m.start(1), m.end(1), "When") for m in re.finditer(rf"({TIMES})", sentence)]
    spans += [
        (m.start(1), m.end(1), "How many") for m in re.finditer(rf"\b({'|'.join(NUMBERS)})\b(?= [a-z]+s\b)", sentence)
    ]
    spans += [
        (m.start(2), m.end(2), "What")
        for m in re.finditer(rf"\b({VERB}) ((?:the|a|an|his|her|some) (?:[a-z-]+ )?[a-z-]+)\b{END}", sentence)
    ]
    if not spans:
        return None
    start, end, wh = draw.choice(spans)
    left, right = sentence[:start].split()[-9:], sentence[end:].split()[:9]
    kept = [word.strip('“”‘’"();:,.!?—') for word in (*left, *right)]
    kept = [word for word in kept if word and (draw.random() > 0.15)]
    if len(kept) < 4:
        return None
    if wh in ("Where", "When") and left and left[-1].lower() in ("in", "at", "into", "near", "under", "behind"):
        kept = [word for word in kept if word != left[-1]]
    kept[0] = lower_first(kept[0]) if kept[0] in STOP else kept[0]
    return Made(f"{wh} {' '.join(kept)}?", start, end, "cloze")
