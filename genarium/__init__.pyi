"""Made from the tasks' signatures by scripts/make_stubs.py: change those, not this."""

from pathlib import Path
from typing import Literal

from genarium import artefacts
from genarium.errors import GenariumError as GenariumError
from genarium.messages import Message
from genarium.run import Result

def answer(
    question: list[str] | str | None = None,
    *,
    context: str | None = None,
    context_file: str | Path | None = None,
    questions: str | Path | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    no_header: bool = False,
    top_k: int = 1,
    no_answer: bool = False,
    max_answer_len: int = 15,
    max_seq_len: int | None = None,
    doc_stride: int | None = None,
    batch_size: int = 1,
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
) -> Result[artefacts.Records]:
    """Find the words of a text that answer a question.

    Each comes with a score, the characters it is at, and the time it took. Answers are words of the text, never written
    anew: answer[start:end] of the text is the answer.

    question: what to ask; several in quotes each. Words without quotes are one question
    context: the text to answer from; - reads it from standard input
    context_file: a file with the text to answer from
    questions: a file of questions: one a line, or CSV or JSON Lines with question, and context where each has its
        own
    delimiter: what is between the file's columns: comma, semicolon, tab, pipe or a character [default: found out]
    encoding: the file's encoding, as in cp1252 or gb18030 [default: by its mark, or UTF-8]
    no_header: the file's first line is a row already; columns are called 1, 2, …
    top_k: answers to each question, best first
    no_answer: let the answer be that there is none
    max_answer_len: longest answer, in tokens
    max_seq_len: tokens read at once, the question among them; a longer text is read in windows
    doc_stride: tokens that neighbouring windows share
    batch_size: questions read together; each then waits for all of them
    dtype: what to compute in; with bfloat16, close calls are decided in float32. A type named is computed by
        torch
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: starter, a folder or a hub id of a BERT, DistilBERT or RoBERTa trained on SQuAD
    """

def ask(
    question: str,
    *,
    index: str | list[str] | None = None,
    where: str | list[str] | None = None,
    since: str | None = None,
    history: list[str] | None = None,
    top_k: int = 5,
    min_support: float = 0.35,
    ranker: str | None = None,
    max_new_tokens: int = 200,
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
    seed: int | None = None,
) -> Result[artefacts.Answer]:
    """Answer a question from your own documents, with citations.

    Every sentence names the file, the page and the characters it comes from. Make an index first: genarium index DIR.

    question: what you want to know; - reads it from standard input
    index: which documents: an index's name or its folder, or @all; may be left out where there is only one; may
        be repeated
    where: only passages of this kind: type=pdf, path=2024/*, heading=Install; all must hold; may be repeated
    since: only files changed since then: 2026-01-31, or 30d for the last 30 days
    history: the questions before this one, oldest first, which it may refer to (and on Sundays?); may be repeated
    top_k: how many passages to answer from
    min_support: how likely an answer must be for there to be one: 0 quotes what is closest in any case, 1 never
    ranker: a cross-encoder (a folder, a hub id) that ranks the passages again, as starter/rank
    max_new_tokens: longest answer of a model that writes, in tokens
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: starter quotes sentences; a text model (a folder, a hub id, openai:NAME) writes the answer
    seed: same seed, same text; drawn when not given
    """

def caption(
    photos: list[str] | str,
    *,
    n: int = 1,
    prompt: str | None = None,
    beams: int = 3,
    sample: bool = False,
    temperature: float = 1.0,
    top_p: float = 0.9,
    max_new_tokens: int = 40,
    frames: int = 8,
    allow_private: bool = False,
    batch_size: int = 8,
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    model: str = "starter",
    seed: int | None = None,
) -> Result[artefacts.Captions]:
    """Say what is in pictures and videos.

    Of a video it says when that changes. A score is the mean log-probability of a caption's tokens, in nats: 0 is
    certain. A stopped run of many pictures continues where it was; -o NAME.csv or NAME.jsonl writes the captions as a
    table, of a video NAME.srt or NAME.vtt as subtitles, which index reads.

    photos: pictures and videos, folders of them, http or https URLs; - reads one from standard input
    n: how many captions of each picture, best first
    prompt: how captions begin (“a photo of”); a model that chats answers it as a question
    beams: captions followed at the same time in the search; at least --n are
    sample: draw captions at random in place of searching for the likeliest
    temperature: of --sample: below 1 keeps to likely words
    top_p: of --sample: draw among the likeliest words that hold this probability
    max_new_tokens: tokens of a caption at most, after the prompt
    frames: of a video, how many frames are looked at, evenly chosen
    allow_private: fetch URLs from this machine and its own network too; they are refused otherwise
    batch_size: pictures read at a time
    dtype: what the network computes in; auto takes what is fastest here
    model: starter (composed scenes), a folder or a hub id such as Salesforce/blip-image-captioning-base
    seed: of --sample: same seed, same captions
    """

def chat(
    message: str,
    *,
    model: str = "starter",
    system: str | None = None,
    messages: list[Message] | None = None,
    n: int = 1,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int = 0,
    top_p: float | None = None,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    stop: list[str] | None = None,
    template: Literal["checkpoint", "plain"] = "checkpoint",
    date: str | None = None,
    strict: bool = False,
    json_schema: str | None = None,
    logprobs: int | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "int8", "int4"] = "auto",
    backend: Literal["auto", "onnx", "torch"] = "auto",
    seed: int | None = None,
) -> Result[artefacts.Reply]:
    """Talk with a model: one message, or a conversation.

    message: what to say; - reads it from standard input
    model: a model that was taught to talk: starter, a folder, a GGUF file, a hub id such as
        Qwen/Qwen2.5-0.5B-Instruct, or openai:NAME
    system: how the model should behave
    messages: what was said before, oldest first: {"role": "user" or "assistant", "content": "…"}; may be repeated
    n: how many replies
    max_new_tokens: longest reply, in tokens [default: 512, or half of the model's context where that is less]
    temperature: 0 always takes the likeliest token; higher is bolder [default: what a starter's makers recommend,
        else 0.8]
    top_k: choose among this many likeliest tokens; 0 for all
    top_p: choose among the likeliest tokens that make up this probability [default: as temperature, else 0.95]
    min_p: leave out tokens less likely than this share of the likeliest
    repetition_penalty: above 1 makes repeating less likely
    stop: end before this text; may be repeated, up to 64 times
    template: how the conversation is written for the model: its own chat template, or a plain transcript
    date: today's date as YYYY-MM-DD, for templates that tell it; on the command line it is today's
    strict: refuse a conversation longer than the context instead of leaving out its oldest turns
    json_schema: a JSON Schema, as JSON: what is written is JSON of this kind, unless it is cut at the longest
    logprobs: keep each token's log-probability, and those of so many likeliest in its place
    dtype: what to compute in; auto is bfloat16 on a GPU, float32 on a CPU, or int8 for a GGUF of 8 bits or less;
        int8 is faster than float32, int4 faster where many texts are written at once
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    seed: same seed, same reply; drawn when not given
    """

def classify(
    texts: list[str] | str | None = None,
    *,
    labels: list[str] | None = None,
    file: str | Path | None = None,
    column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    no_header: bool = False,
    few_shot: str | Path | None = None,
    label_column: str = "label",
    template: str | None = None,
    calibrate: bool | None = None,
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
) -> Result[artefacts.Records]:
    """Give every text one of a few labels, and count them.

    Written as .csv, the file's own columns are followed by the label and each label's probability. An empty text has
    neither, and is not counted.

    texts: the texts; - reads one a line from standard input
    labels: the labels to choose among, apart by commas; a trained head knows its own
    file: a .csv, .tsv or .jsonl file, or plain lines, in place of texts
    column: where the file has its texts [default: the only column, or text]
    delimiter: what is between the file's columns: comma, semicolon, tab, pipe or a character [default: found out]
    encoding: the file's encoding, as in cp1252 or gb18030 [default: by its mark, or UTF-8]
    no_header: the file's first line is a row already; columns are called 1, 2, …
    few_shot: a table of labelled examples to learn from
    label_column: where the examples have their labels
    template: zero-shot: a sentence with {label} in it; generative: a prompt with {text} that the label continues
    calibrate: generative: leave out of the count what the model would say of any text [default: of starter/chat]
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: decides the way: a fine-tuned head, an encoder (zero-shot, few-shot), or a generative model
    """

def embed(
    texts: list[str] | str | None = None,
    *,
    file: str | Path | None = None,
    column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    no_header: bool = False,
    static: bool = False,
    compare: bool = False,
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
) -> Result[artefacts.Vectors | artefacts.Records | artefacts.Plot]:
    """Turn texts into vectors, near each other where the meaning is.

    They are made as the model's folder says, and can be written as .safetensors, .npy or .jsonl.

    texts: the texts; - reads one a line from standard input
    file: a .csv, .tsv or .jsonl file, or plain lines, in place of texts
    column: where the file has its texts [default: the only column, or text]
    delimiter: what is between the file's columns: comma, semicolon, tab, pipe or a character [default: found out]
    encoding: the file's encoding, as in cp1252 or gb18030 [default: by its mark, or UTF-8]
    no_header: the file's first line is a row already; columns are called 1, 2, …
    static: also the mean of the embedding table's rows, which no neighbour moves
    compare: the first text is a word: show how its vector moves from text to text
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: starter, or a BERT, MiniLM, RoBERTa or DistilBERT as folder or hub id
    """

def explain(
    photo: str,
    caption: str | None = None,
    *,
    against: list[str] | None = None,
    layer: int | None = None,
    overlay: bool = False,
    captioner: str | None = "starter",
    allow_private: bool = False,
    model: str = "starter",
) -> Result[artefacts.Heat]:
    """Say how well a caption fits a picture, with a map for each word.

    A word's heat map shows the part of the picture that it is about. The file's ending chooses what is written: .png
    the figure, .npz the raw maps, .html a page where pointing at a word lights its region.

    photo: the picture: a file or an http or https URL; - reads standard input
    caption: what is said of it [default: the caption that genarium caption makes]
    against: another caption to compare with; may be given several times
    layer: which layer's attention to look at, counted from 0 as in the file [default: by the model]
    overlay: one picture with all words together in place of a panel a word
    captioner: what makes a caption where none is given: as caption's --model
    allow_private: fetch URLs from this machine and its own network too; they are refused otherwise
    model: starter, or a BLIP matcher or CLIP as folder or hub id such as Salesforce/blip-itm-base-coco
    """

def image(
    prompt: str,
    *,
    n: int = 1,
    size: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str | None = None,
    sampler: Literal["dpm++2m", "ddim", "ddpm", "euler", "euler-a", "heun", "pndm", "unipc", "own"] | None = None,
    init: str | Path | None = None,
    strength: float | None = None,
    mask: str | Path | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    truncation: float | None = None,
    best_of: int = 1,
    matcher: str | None = "starter",
    explain: bool = False,
    strict: bool = False,
    grid_size: str | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    model: str = "starter",
    seed: int | None = None,
) -> Result[artefacts.Image | artefacts.Sheet | artefacts.Heat]:
    """Make pictures of what a prompt says.

    Each is kept as a PNG of its own, with its recipe inside. -o NAME.png writes the picture, or with -n the contact
    sheet; -o FOLDER/ writes every picture.

    prompt: what the picture shows; - reads it from standard input
    n: how many pictures; with several there is a contact sheet too
    size: WIDTHxHEIGHT in pixels, or one number for a square [default: what the model was trained on]
    steps: denoising steps: more is finer and slower [default: the model's]
    guidance: how closely to follow the prompt; 1 and below don't compare with the negative [default: the model's]
    negative_prompt: what the picture should not show
    sampler: how noise becomes a picture; own is what the checkpoint names [default: the model's best]
    init: a picture to start from
    strength: how far to leave the picture started from: 0 to 1 [default: 0.75]
    mask: paint only where this picture is white (or clear); as large as init's
    temperature: of models that draw a picture's codes: below 1 keeps to likely ones [default: the model's]
    top_k: of such models: draw among the k likeliest codes [default: the model's]
    truncation: of VQ-Diffusion: draw among the likeliest codes that hold this probability [default: the model's]
    best_of: draw so many for each picture and keep the one that matches the prompt best
    matcher: what judges how well they match: as explain's --model
    explain: also show where the denoiser looked for each word; -o NAME.png, .html or .npz is then of that
    strict: refuse a prompt with words that the model doesn't know or doesn't read, in place of a note
    grid_size: COLUMNSxROWS of the contact sheet [default: by the number]
    dtype: what the networks compute in; auto takes what is fastest here
    model: starter, a folder or a hub id such as CompVis/stable-diffusion-v1-4
    seed: same seed, same picture; the next one drawn has the next seed
    """

def rank(
    query: str,
    passages: list[str] | str | None = None,
    *,
    file: str | Path | None = None,
    column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    no_header: bool = False,
    top_k: int = 0,
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
) -> Result[artefacts.Records]:
    """Put passages in the order in which they answer a query.

    query: what is looked for
    passages: where it is looked for; - reads one a line from standard input
    file: a .csv, .tsv or .jsonl file, or plain lines, in place of passages
    column: where the file has its passages [default: the only column, or text]
    delimiter: what is between the file's columns: comma, semicolon, tab, pipe or a character [default: found out]
    encoding: the file's encoding, as in cp1252 or gb18030 [default: by its mark, or UTF-8]
    no_header: the file's first line is a row already; columns are called 1, 2, …
    top_k: keep this many, best first; 0 for all
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: decides the way: a head with one output reads query and passage together, an encoder apart
    """

def speak(
    text: str | None = None,
    *,
    file: str | Path | None = None,
    voice: str | None = None,
    speed: float = 1.0,
    language: str = "auto",
    pronounce: list[str] | None = None,
    timestamps: bool = False,
    check: bool = False,
    model: str = "starter",
    seed: int | None = None,
) -> Result[artefacts.Audio]:
    """Say a text.

    The starter speaks English and Chinese; numbers, dates, times and sums of money are read as a person would. Kept
    as a WAV with its recipe inside; -o NAME.flac, .mp3, .ogg writes those too.

    text: what is said, or an SSML document (<speak>…</speak>); - reads standard input
    file: a text file to say instead
    voice: such as af_heart, bm_george, zf_xiaoxiao [default: the model's for the text's language]
    speed: 2 takes half the time, 0.5 twice as long
    language: language of the voice that is chosen, as in en or zh; auto is what most of the text is in
    pronounce: how a word is said, as in GIF=dʒɪf, in IPA; may be repeated
    timestamps: tell when each word is heard; -o NAME.srt or .vtt writes that alone
    check: transcribe what was said, tell what share of each sentence's words were misheard, say those again
    model: starter, a folder of Kokoro's, a hub id such as facebook/mms-tts-eng, or openai:NAME
    seed: of models that draw random numbers
    """

def summarize(
    text: str | None = None,
    *,
    file: str | Path | None = None,
    sentences: int | None = None,
    ratio: float | None = None,
    lambda_: float = 0.5,
    language: str = "en",
    max_new_tokens: int | None = None,
    num_beams: int | None = None,
    length_penalty: float | None = None,
    prefix: str | None = None,
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
) -> Result[artefacts.Summary]:
    """Summarize a text.

    The starter chooses sentences of it; other models write their own.

    text: the text; - reads it from standard input
    file: a text file to read instead
    sentences: how many sentences; 3 where neither this nor ratio is given
    ratio: how many sentences to choose, as a share of the text's
    lambda_: 1 chooses the most central sentences, lower ones less like each other
    language: the text's language, as in en, de, ja: where its sentences end
    max_new_tokens: longest summary that a model writes, in tokens
    num_beams: beams to search, of a sequence-to-sequence model
    length_penalty: above 0 favours longer summaries in beam search
    prefix: what to put before the text; left out, what the model was trained with (T5: 'summarize: ')
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: an encoder (starter) chooses sentences; a T5, BART or Pegasus folder or hub id, a chat model or
        openai:NAME writes its own
    """

def text(
    prompt: str,
    *,
    n: int = 1,
    max_new_tokens: int = 100,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 0.95,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    stop: list[str] | None = None,
    strict: bool = False,
    json_schema: str | None = None,
    logprobs: int | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "int8", "int4"] = "auto",
    backend: Literal["auto", "onnx", "torch"] = "auto",
    model: str = "starter",
    seed: int | None = None,
) -> Result[artefacts.Text]:
    """Continue a text.

    prompt: the text to continue; - reads it from standard input
    n: how many continuations
    max_new_tokens: longest continuation, in tokens
    temperature: 0 always takes the likeliest token; higher is bolder
    top_k: choose among this many likeliest tokens; 0 for all
    top_p: choose among the likeliest tokens that make up this probability
    min_p: leave out tokens less likely than this share of the likeliest
    repetition_penalty: above 1 makes repeating less likely
    stop: end before this text; may be repeated, up to 64 times
    strict: refuse a prompt longer than the context instead of cutting its beginning
    json_schema: a JSON Schema, as JSON: what is written is JSON of this kind, unless it is cut at the longest
    logprobs: keep each token's log-probability, and those of so many likeliest in its place
    dtype: what to compute in; auto is bfloat16 on a GPU, float32 on a CPU, or int8 for a GGUF of 8 bits or less;
        int8 is faster than float32, int4 faster where many texts are written at once
    backend: which library computes: onnx starts fastest and needs no torch; auto is torch on a GPU, else onnx
    model: starter, a folder, a GGUF file, a hub id, or openai:NAME
    seed: same seed, same text; drawn when not given
    """

def transcribe(
    sounds: list[str] | str,
    *,
    language: str | None = None,
    translate: bool = False,
    words: bool = False,
    prompt: str | None = None,
    keep_silence: bool = False,
    allow_private: bool = False,
    model: str = "starter",
) -> Result[artefacts.Transcript]:
    """Write down what is said in sounds and videos.

    A stopped run continues where it was. -o NAME.srt or .vtt writes subtitles, .txt the text, .jsonl or .csv each part
    with its times; -o FOLDER/ subtitles for each file.

    sounds: sounds and videos, folders of them, http or https URLs; - reads one from standard input
    language: what is spoken, as in en, zh, de [default: found out by listening]
    translate: write it in English, whatever is spoken
    words: tell when each word is heard
    prompt: names and rare words that may come, as a sentence
    keep_silence: listen to what seems to be silence too; it is skipped otherwise
    allow_private: fetch URLs from this machine and its own network too; they are refused otherwise
    model: starter, a Whisper folder, a hub id such as openai/whisper-small, or openai:NAME
    """

def video(
    prompt: str,
    *,
    n: int = 1,
    frames: int | None = None,
    seconds: float | None = None,
    fps: float | None = None,
    size: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    negative_prompt: str | None = None,
    sampler: Literal["dpm++2m", "ddim", "ddpm", "euler", "euler-a", "heun", "pndm", "unipc", "own"] | None = None,
    init: str | Path | None = None,
    last: str | Path | None = None,
    explain: bool = False,
    strict: bool = False,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    model: str = "starter",
    seed: int | None = None,
) -> Result[artefacts.Video | artefacts.Heat]:
    """Make videos of what a prompt says.

    Each is kept as an MP4 (H.264) of its own, with its recipe inside, a poster and a contact sheet beside it.
    -o NAME.mp4, .webm, .gif or .png (which moves) writes it; -o FOLDER/ writes every video and its frames.

    prompt: what the video shows, or a file of one made before: its prompt and settings; - reads standard input
    n: how many videos
    frames: how many pictures one after the other [default: the model's]
    seconds: how long it plays, in place of frames: as many as the model makes nearest to that
    fps: frames a second that it is played at [default: the model's]
    size: WIDTHxHEIGHT in pixels, or one number for a square [default: what the model was trained on]
    steps: denoising steps: more is finer and slower [default: the model's]
    guidance: how closely to follow the prompt; 1 and below don't compare with the negative [default: the model's]
    negative_prompt: what the video should not show
    sampler: how noise becomes a picture; own is what the checkpoint names [default: the model's best]
    init: a picture that it starts with
    last: a picture that it ends with, beside init
    explain: also show where each frame looked for each word; -o NAME.png, .html or .npz is then of that
    strict: refuse a prompt with words that the model doesn't know or doesn't read, in place of a note
    dtype: what the networks compute in; auto takes what is fastest here
    model: starter, a folder or a hub id such as damo-vilab/text-to-video-ms-1.7b
    seed: same seed, same video; the next one drawn has the next seed
    """
