"""Compose question-answering and ranking data: invented facts, small stories, and sentences of books.

    python scripts/reading/compose.py BOOKS OUT [--seed 0] [--facts 5000] [--stories 3500] [--books 5000]

BOOKS is a folder of plain-text books; those kept for evaluation are never read. Writes OUT/answer.jsonl (rows as in
SQuAD: question, context, answer_start, text; an empty text where the context does not answer) and OUT/rank.jsonl
(query, positive, negatives: the sentence that answers among others of the same passage). The same seed, books and
version give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentences as book
import stories
from words import value

KEPT_OUT = {"the-crimson-fairy-book.txt", "the-railway-children.txt"}
OBJECT = {"he": "him", "she": "her", "it": "it"}
UNANSWERABLE = 0.16


@dataclass
class Attribute:
    """A fact about a subject: the type of its value (a name of `words.value`, or a list), how it is told and asked."""

    name: str
    kind: str
    options: list[str]
    statements: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass
class Kind:
    name: str
    called: str
    pronouns: list[tuple[str, str]]
    attributes: list[Attribute] = field(default_factory=list)


def read_facts(file: Path) -> list[Kind]:
    """The grammar of `facts.txt`."""
    kinds: list[Kind] = []
    for line in file.read_text("utf-8").splitlines():
        sign, _, rest = line.partition(" ")
        if sign == "@":
            name, called, *pronouns = [part.strip() for part in rest.split("|")]
            kinds.append(Kind(name, called, [tuple(p.split(", ")) for p in pronouns]))  # type: ignore[misc]
        elif sign == "=":
            name, _, kind = rest.partition(" | ")
            options = [o.strip() for o in kind[1:-1].split(";")] if kind.startswith("[") else []
            kinds[-1].attributes.append(Attribute(name, kind if not options else f"list {name}", options))
        elif sign == "+":
            kinds[-1].attributes[-1].statements.append(rest)
        elif sign == "?":
            kinds[-1].attributes[-1].questions.append(rest)
    return kinds


def choose(draw: random.Random, text: str) -> str:
    """(a|b|) becomes one of its parts, from the inside out."""
    while found := re.search(r"\(([^()]*\|[^()]*)\)", text):
        parts = found.group(1).split("|")
        chosen = "\0" if parts == ["a", "an"] else draw.choice(parts)  # which article is decided by the word behind it
        text = text[: found.start()] + chosen + text[found.end() :]
    return text


def tidy(text: str) -> str:
    """Articles, capitals and spaces put right; the marks around answers are letters of no alphabet and stay."""
    text = re.sub("\0(?= ([\ue000-\uf8ff]?)([aeiouAEIOU]))", "an", text).replace("\0", "a")
    text = re.sub(r"\s+", " ", text).replace(" .", ".").replace(" ,", ",").strip()
    return re.sub("^([\ue000-\uf8ff]?)(.)", lambda m: m.group(1) + m.group(2).upper(), text)


@dataclass
class Subject:
    """Somebody or something with facts. `told` are the attributes that the passage states, with the mark of each."""

    kind: Kind
    name: str
    pronoun: str
    possessive: str
    told: list[tuple[Attribute, str]] = field(default_factory=list)
    used_types: set[str] = field(default_factory=set)

    def short(self, draw: random.Random) -> str:
        if self.kind.name != "person":
            return self.name
        return draw.choice([self.name, self.name, self.name.split()[-1], self.name.split()[0]])


def fill(draw: random.Random, text: str, subject: Subject, mention: str, answer: str) -> str:
    possessive = (
        subject.possessive if mention == subject.pronoun else mention + ("'" if mention.endswith("s") else "'s")
    )
    text = choose(draw, text)
    fixed = {"S": mention, "N": subject.name, "v": answer, "S's": possessive, "them": OBJECT[subject.pronoun]}

    def one(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in fixed:
            # Mentioned once, the subject is "he" for the rest of the sentence.
            result = fixed[name]
            if name in ("S", "S's"):
                fixed["S"], fixed["S's"] = subject.pronoun, subject.possessive
            return result
        subject.used_types.add(name)
        return value(draw, name)

    return re.sub(r"\{([^}]+)\}", one, text)


def passage_of_facts(draw: random.Random, kinds: list[Kind]) -> list[dict[str, Any]]:
    """A passage about one or two subjects, and questions about some of its facts and of those it does not state."""
    kind = draw.choice(kinds)
    subjects = []
    for _ in range(1 if draw.random() < 0.5 else 2):
        pronoun, possessive = draw.choice(kind.pronouns)
        name = re.sub(
            r"\{([^}]+)\}", lambda m, p=pronoun: value(draw, m.group(1), p if p != "it" else None), kind.called
        )
        subjects.append(Subject(kind, name, pronoun, possessive))
    if len({s.name for s in subjects}) < len(subjects):
        subjects = subjects[:1]
    text: list[str] = []
    mark = 0xE000
    for subject in subjects:
        count = draw.randint(3, 6) if len(subjects) == 1 else draw.randint(2, 4)
        for place, attribute in enumerate(draw.sample(kind.attributes, min(count, len(kind.attributes)))):
            answer = draw.choice(attribute.options) if attribute.options else value(draw, attribute.kind)
            sign = chr(mark)
            mark += 1
            roll = draw.random()
            mention = subject.name if place == 0 or roll < 0.2 else subject.pronoun
            statement = draw.choice(attribute.statements)
            if place == 0:  # the first sentence says who it is about
                named = [s for s in attribute.statements if "{S}" in s or "{S's}" in s or "{N}" in s]
                statement = draw.choice(named or attribute.statements)
            text.append(tidy(fill(draw, statement, subject, mention, sign + answer + sign)))
            subject.told.append((attribute, sign))
            subject.used_types.add(attribute.kind)
    marked = " ".join(text)
    while (end := re.search(r"\. (It|He|She|Its|His|Her) ", marked)) and draw.random() < 0.45:
        joined = draw.choice([", and", ";", ", and"]) + end.group()[1:].lower()
        marked = marked[: end.start()] + joined + marked[end.end() :]
    context, spans = unmark(marked)
    rows = []
    for subject in subjects:
        others = {a.name for other in subjects if other is not subject for a, _ in other.told}
        for attribute, sign in draw.sample(subject.told, min(2, len(subject.told))):
            asked = [q for q in attribute.questions if "{N}" in q or len(subjects) == 1]
            question = ask(draw, draw.choice(asked or attribute.questions), subject)
            if not asked and attribute.name in others:
                continue
            start, end = spans[sign]
            rows.append(row(question, context, start, context[start:end], f"fact {attribute.name}"))
        if draw.random() < 2 * UNANSWERABLE * 1.6:
            stated = {a.name for a, _ in subject.told}
            missing = [a for a in subject.kind.attributes if a.name not in stated and a.kind not in subject.used_types]
            hard = [a for a in missing if a.name in others and any("{N}" in q for q in a.questions)]
            missing = [a for a in missing if a.name not in others]
            if hard or missing:
                attribute = draw.choice(hard or missing)
                asked = [q for q in attribute.questions if "{N}" in q] or attribute.questions
                rows.append(row(ask(draw, draw.choice(asked), subject), context, 0, "", "fact missing"))
    return rows


def ask(draw: random.Random, question: str, subject: Subject) -> str:
    return tidy(choose(draw, question).replace("{N}", subject.short(draw)).replace(" ?", "?"))


def unmark(marked: str) -> tuple[str, dict[str, tuple[int, int]]]:
    """The text without its marks, and where what they enclosed is."""
    out: list[str] = []
    spans: dict[str, tuple[int, int]] = {}
    for character in marked:
        if "\ue000" <= character <= "\uf8ff":
            spans[character] = (spans[character][0], len(out)) if character in spans else (len(out), len(out))
        else:
            out.append(character)
    return "".join(out), spans


def passage_of_story(draw: random.Random) -> list[dict[str, Any]]:
    """Three to six events with different people, and a question about two or three of them."""
    names: list[str] = []
    while len(names) < 6:
        name = stories.actor(draw)
        if name not in names:
            names.append(name)
    facts = [stories.event(draw, name, [n for n in names if n != name]) for name in names[: draw.randint(3, 6)]]
    text, spans = "", []
    for fact in facts:
        plain, inner = "", {}
        at = 0
        for found in re.finditer(r"<(/?)(\w+)>", fact.sentence):
            plain += fact.sentence[at : found.start()]
            at = found.end()
            if found.group(1):
                inner[found.group(2)] = (inner[found.group(2)][0], len(plain))
            else:
                inner[found.group(2)] = (len(plain), len(plain))
        plain += fact.sentence[at:]
        plain = plain[0].upper() + plain[1:] + "."
        text += " " if text else ""
        spans.append({role: (len(text) + a, len(text) + b) for role, (a, b) in inner.items()})
        text += plain
    rows = []
    for number in draw.sample(range(len(facts)), min(3, len(facts))):
        role, question = draw.choice(facts[number].questions)
        start, end = spans[number][role]
        if (
            role == "where"
            and text[start:].split()[0] in ("in", "at", "on", "to", "into", "from")
            and draw.random() < 0.4
        ):
            start += len(text[start:].split()[0]) + 1
        rows.append(row(question, text, start, text[start:end], f"story {role}"))
    if draw.random() < 3 * UNANSWERABLE:
        known = {role for fact in facts for role, _ in fact.questions}
        stranger = stories.event(draw, draw.choice(names[-1:]), [])
        role, question = draw.choice(stranger.questions)
        fact = draw.choice(facts)
        missing = [r for r in ("when", "why", "how") if r not in known]
        base = [q for r, q in fact.questions if r == "where" and q.startswith("Where did")]
        if base and missing and draw.random() < 0.6:
            word = {"when": "When", "why": "Why", "how": "How"}[draw.choice(missing)]
            rows.append(row(base[0].replace("Where", word, 1), text, 0, "", "story missing"))
        elif names[-1] not in text:
            rows.append(row(question, text, 0, "", "story missing"))
    return rows


def passages_of_books(draw: random.Random, folder: Path, wanted: int) -> list[dict[str, Any]]:
    """Questions that the rules find, in passages of 40 to 130 words around their sentence."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.txt")):
        if path.name in KEPT_OUT:
            continue
        paragraphs = book.paragraphs(path.read_text("utf-8"))
        for place, paragraph in enumerate(paragraphs):
            parts = book.sentences(paragraph)
            for number, sentence in enumerate(parts):
                made = list(book.questions(sentence, draw))
                if draw.random() < 0.15 and (one := book.cloze(sentence, draw)):
                    made.append(one)
                for one in made:
                    around = surroundings(draw, paragraphs, place, parts, number)
                    before = " ".join(around[0])
                    offset = len(before) + 1 if before else 0
                    context = " ".join([*around[0], sentence, *around[1]])
                    answer = sentence[one.start : one.end]
                    if (
                        30 <= len(context.split()) <= 150
                        and len(answer.split()) <= 12
                        and len(one.question.split()) <= 24
                    ):
                        made_row = row(
                            one.question[0].upper() + one.question[1:],
                            context,
                            offset + one.start,
                            answer,
                            f"book {one.kind}",
                        )
                        found.setdefault(one.kind, []).append(made_row)
    shares = {
        "who": 0.2,
        "said": 0.1,
        "what": 0.2,
        "where": 0.17,
        "when": 0.06,
        "why": 0.04,
        "how many": 0.04,
        "name": 0.03,
        "was": 0.08,
        "cloze": 0.08,
    }
    rows: list[dict[str, Any]] = []
    for kind, share in shares.items():
        draw.shuffle(found.get(kind, []))
        rows += found.get(kind, [])[: round(wanted * share)]
    contexts = [r["context"] for r in rows]
    answered = len(rows)
    for _ in range(round(answered * UNANSWERABLE)):
        asked = draw.choice(rows[:answered])
        other = draw.choice(contexts)
        if asked["text"].lower() not in other.lower():
            rows.append(row(asked["question"], other, 0, "", "book missing"))
    return rows


def surroundings(
    draw: random.Random, paragraphs: list[str], place: int, parts: list[str], number: int
) -> tuple[list[str], list[str]]:
    """Sentences before and behind, from the same paragraph and, where that is short, from its neighbours."""
    before, behind = parts[:number], parts[number + 1 :]
    words = len(parts[number].split())
    goal = draw.randint(40, 115)
    left: list[str] = []
    right: list[str] = []
    earlier = [*(book.sentences(paragraphs[place - 1]) if place else []), *before]
    later = [*behind, *(book.sentences(paragraphs[place + 1]) if place + 1 < len(paragraphs) else [])]
    while words < goal and (earlier or later):
        if earlier and (not later or draw.random() < 0.5):
            left.insert(0, earlier.pop())
            words += len(left[0].split())
        else:
            right.append(later.pop(0))
            words += len(right[-1].split())
    return left, right


def row(question: str, context: str, start: int, text: str, kind: str) -> dict[str, Any]:
    assert context[start : start + len(text)] == text
    return {"question": question, "context": context, "answer_start": start, "text": text, "kind": kind}


def ranking(draw: random.Random, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sentence that holds the answer, and up to three others of the same passage and one of another."""
    made = []
    for one in rows:
        if not one["text"]:
            continue
        parts, at, positive = book.sentences(one["context"]), 0, None
        for part in parts:
            at = one["context"].index(part, at)
            if at <= one["answer_start"] < at + len(part):
                positive = part
        others = [
            part
            for part in parts
            if part != positive and one["text"].lower() not in part.lower() and len(part.split()) > 3
        ]
        if positive is None or not others or len(positive) > 600:
            continue
        foreign = draw.choice(rows)["context"]
        negatives = [*draw.sample(others, min(3, len(others))), draw.choice(book.sentences(foreign))]
        made.append({"query": one["question"], "positive": positive, "negatives": negatives})
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="BOOKS", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--facts", type=int, default=5000)
    parser.add_argument("--stories", type=int, default=3500)
    parser.add_argument("--books", dest="from_books", type=int, default=5000)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    kinds = read_facts(Path(__file__).with_name("facts.txt"))
    facts: list[dict[str, Any]] = []
    while len(facts) < options.facts:
        facts += passage_of_facts(draw, kinds)
    told: list[dict[str, Any]] = []
    while len(told) < options.stories:
        told += passage_of_story(draw)
    rows = facts + told + passages_of_books(draw, options.folder, options.from_books)
    draw.shuffle(rows)
    ranked = ranking(draw, rows)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in (("answer", rows), ("rank", ranked)):
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in content)
        (options.out / f"{name}.jsonl").write_text(lines, "utf-8")
    print(f"{len(rows)} questions, {sum(not r['text'] for r in rows)} without an answer; {len(ranked)} to rank")
    for kind, count in sorted(Counter(" ".join(r["kind"].split()[:1]) for r in rows).items()):
        print(f"  {kind}: {count}")


if __name__ == "__main__":
    main()
