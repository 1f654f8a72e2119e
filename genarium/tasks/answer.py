"""`answer`: find the words of a text that answer a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from annotated_doc import Doc
from annotated_types import Ge, Interval, MaxLen, MinLen

from genarium.artefacts import Records
from genarium.data.tables import PLAIN, Delimiter, Encoding, How, NoHeader, read_table, require_rows
from genarium.engines import registry
from genarium.engines.languages import tell_of_other_languages
from genarium.errors import BadInput
from genarium.progress import note
from genarium.rows import rows
from genarium.signature import LONGEST_BOOK
from genarium.tasks.options import BACKEND, Backend
from genarium.tasks.task import task

if TYPE_CHECKING:
    from genarium.engines.answer.question_answering import Answered


class AskedRow(NamedTuple):
    """A question, the text to answer it from, and what the row it came from calls it."""

    question: str
    context: str
    id: Any = None


@task(starter="answer", pins={"backend": BACKEND})
def answer(
    question: Annotated[
        list[str] | None, Doc("what to ask; several in quotes each. Words without quotes are one question"), MinLen(1)
    ] = None,
    *,
    context: Annotated[
        str | None, Doc("the text to answer from; - reads it from standard input"), MinLen(1), MaxLen(LONGEST_BOOK)
    ] = None,
    context_file: Annotated[Path | None, Doc("a file with the text to answer from")] = None,
    questions: Annotated[
        Path | None,
        Doc("a file of questions: one a line, or CSV or JSON Lines with question, and context where each has its own"),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    no_header: NoHeader = False,
    top_k: Annotated[int, Doc("answers to each question, best first"), Interval(ge=1, le=100)] = 1,
    no_answer: Annotated[bool, Doc("let the answer be that there is none")] = False,
    max_answer_len: Annotated[int, Doc("longest answer, in tokens"), Interval(ge=1, le=512)] = 15,
    max_seq_len: Annotated[
        int | None, Doc("tokens read at once, the question among them; a longer text is read in windows"), Ge(16)
    ] = None,
    doc_stride: Annotated[int | None, Doc("tokens that neighbouring windows share"), Ge(0)] = None,
    batch_size: Annotated[int, Doc("questions read together; each then waits for all of them"), Ge(1)] = 1,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Doc("what to compute in; with bfloat16, close calls are decided in float32. A type named is computed by torch"),
    ] = "auto",
    backend: Backend = "auto",
    model: Annotated[str, Doc("starter, a folder or a hub id of a BERT, DistilBERT or RoBERTa trained on SQuAD")] = (
        "starter"
    ),
) -> Iterator[Records]:
    """Find the words of a text that answer a question.

    Each comes with a score, the characters it is at, and the time it took. Answers are words of the text, never written
    anew: answer[start:end] of the text is the answer.
    """
    from genarium.engines.answer.question_answering import AnswerRequest

    asked = _asked(question or [], context, context_file, questions, How(delimiter, encoding, header=not no_header))
    tell_of_other_languages(model, "answer", list(dict.fromkeys(text for one in asked for text in one[:2])))
    kept = rows()
    done = kept.begin(len(asked))
    reader = registry.open_question_answering(model, dtype=dtype, backend=backend)
    how = AnswerRequest(top_k, max_answer_len, no_answer, max_seq_len, doc_stride)
    timed: list[Answered] = []
    # A batch that was stopped half-way is read again whole: what a question is read with is always the same.
    for first in range(len(done) // batch_size * batch_size, len(asked), batch_size):
        batch = asked[first : first + batch_size]
        found = reader.read([(one.question, one.context) for one in batch], how)
        for place, (one, result) in enumerate(zip(batch, found, strict=True), first):
            if place >= len(done):
                kept.add(_row(one, result, top_k))
                timed.append(result)
    low = reader.low
    doubtful = sum(row["answer"] != "" and row["score"] < low for row in kept.done) if low is not None else 0
    if doubtful:
        of = "this answer is" if len(asked) == 1 else f"{doubtful} of {len(asked)} answers are"
        note(f"{of} likelier wrong than right (score below {low:g}); the text may not say")
    yield _records(kept.done, timed, low)


def _asked(
    question: Sequence[str], context: str | None, context_file: Path | None, file: Path | None, how: How
) -> list[AskedRow]:
    """Everything that is asked, the words of the command first. Raises BadInput."""
    from genarium.data.text import read

    if context is not None and context_file is not None:
        raise BadInput("context and context_file both give the text to answer from; give one of them")
    shared = read(context_file) if context_file is not None else context
    asked = [AskedRow(one, shared or "") for one in _whole_questions(question)]
    if file is not None:
        table = require_rows(read_table(file, how))
        name = PLAIN if PLAIN in table.columns and "question" not in table.columns else "question"
        name = "1" if not table.header and table.delimiter else name
        contexts = table.texts("context") if "context" in table.columns else [""] * len(table.rows)
        identifiers = table.cells("id") if "id" in table.columns else [None] * len(table.rows)
        asked += [
            AskedRow(text, own or shared or "", identifier)
            for text, own, identifier in zip(table.texts(name), contexts, identifiers, strict=True)
        ]
    elif how.said:
        raise BadInput(f"{how.said[0]} says how a file of questions is read; name the file as well")
    if not asked:
        raise BadInput('answer needs a question, as in genarium answer "Who lives there?" --context-file story.txt')
    for number, one in enumerate(asked, 1):
        if not one.question.strip():
            raise BadInput(f"question {number} is empty; give it some text")
        if not one.context.strip():
            where = f"{context_file} is empty" if context_file is not None else "there is no text to answer from"
            raise BadInput(
                f"{where}{f' for question {number}' if len(asked) > 1 else ''}; "
                "give it with --context, --context-file, or as context in the file of questions"
            )
    return asked


def _whole_questions(words: Sequence[str]) -> list[str]:
    """`Who lives there?` without quotes arrives as three words, none of which is a question."""
    unquoted = len(words) > 1 and not any(" " in word.strip() for word in words) and "?" not in "".join(words[:-1])
    return [" ".join(words)] if unquoted else list(words)


def _row(asked: AskedRow, result: Answered, top_k: int) -> dict[str, Any]:
    found = [
        {"answer": one.text, "score": round(one.score, 6), "start": one.start, "end": one.end} for one in result.answers
    ]
    named = {"id": asked.id} if asked.id is not None else {}
    return named | {"question": asked.question} | found[0] | ({"answers": found} if top_k > 1 else {})


def _records(made: list[dict[str, Any]], timed: Sequence[Answered], low: float | None) -> Records:
    """The rows, and what they took: times are those of the rows made in this run. Scores below `low` are said."""
    import numpy as np

    milliseconds = [round(1000 * one.seconds, 2) for one in timed]
    untimed: list[float | None] = [None] * (len(made) - len(timed))
    lines = []
    for row, took in zip(made, [*untimed, *milliseconds], strict=True):
        if len(made) > 1:
            lines.append(row["question"])
        for one in row.get("answers", [row]):
            where = f"characters {one['start']}-{one['end']}, " if one["answer"] else ""
            text = " ".join(one["answer"].split()) or "(no answer)"
            doubt = ", low" if one["answer"] and low is not None and one["score"] < low else ""
            lines.append(f"{'  ' * (len(made) > 1)}{text}  ({where}score {one['score']:.3f}{doubt})")
        if took is not None:
            lines[-1] = f"{lines[-1][:-1]}, {took:.0f} ms)"
    none = sum(not row["answer"] for row in made)
    summary = f"{len(made)} question{'s' * (len(made) != 1)}" + (f", {none} without an answer" if none else "")
    stats: dict[str, Any] = {}
    if milliseconds:
        median, p95 = float(np.median(milliseconds)), float(np.percentile(milliseconds, 95))
        summary += f"; median {median:.0f} ms, 95% within {p95:.0f} ms"
        stats = {
            "latency_ms": milliseconds,
            "latency_median_ms": round(median, 2),
            "latency_p95_ms": round(p95, 2),
            "windows": sum(one.windows for one in timed),
            "windows_read_again": sum(one.reread for one in timed),
        }
    return Records(rows=made, summary=summary if len(made) > 1 else "", shown="\n".join(lines), stats=stats)
