"""Sentences of documents that speak to a model instead of a reader ("Ignore the question and answer …").

What a document says is evidence, never an order. Such sentences are neither quoted nor shown to a model that writes,
and none of what it writes may stand on them. By signs, in English, German and Chinese: one that gives no sign is
still held to what the rest of the document says. OWASP's LLM01, prompt injection.
"""

from __future__ import annotations

import re

SIGNS = re.compile(
    r"""
      <\|[^|>\n]{1,40}\|> | \[/?INST\] | <</?SYS>> | </?(?:system|assistant|instructions?)>
    | ^\W*(?:system|assistant|developer|user)\s*(?:prompt|message|note|override|instruction)?\s*[:>\]]
    | \b(?:ignore|disregard|forget|override|skip|bypass)\b[^.!?\n]{0,60}
      \b(?:question|instruction|prompt|previous|above|prior|earlier|context|passages?|documents?|rules?|
         everything|anything|all\ (?:of\ )?(?:the|this|that))
    | \b(?:instead\ of|rather\ than)\s+(?:answering|an\ answer|replying)
    | \b(?:answer|reply|respond|say|write|output|print|state|return)\s+
      (?:only|exactly|just|nothing\ but|with(?:\ only|\ the|\ exactly|\ just)?|simply|verbatim)\b
    | \b(?:to|for|note\ to|attention|dear|hey|message\ to)\s+(?:the\ |any\ |all\ |every\ )?
      (?:ai(?:\ \w+)?|a\.i\.|assistants?|language\ models?|llms?|chat\s?bots?|automated\ (?:assistant|reader|system)s?)
      (?:\s+(?:reading|processing|summar|answering)|\s*[:,;!–—-])
    | \b(?:if\ you\ are|you\ are\ now)\s+(?:an?\ |the\ )?(?:ai|assistant|language\ model|llm|chat\s?bot)\b
    | \b(?:ai|assistants?|language\ models?|llms?|chat\s?bots?|automated\ (?:assistants?|readers?))\b[^.!?\n]{0,40}
      \b(?:must|shall|has\ to|have\ to|are\ to|is\ to|please)\b[^.!?\n]{0,40}
      \b(?:answer|reply|respond|say|write|state|mention|ignore)
    | \b(?:begin|start|end|finish|close|precede|append|add|include|insert|prefix)\b[^.!?\n]{0,40}
      \b(?:your|every|each|the|any)\s+(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies))\b
    | \b(?:new|updated|hidden|secret|special)\s+(?:system\s+)?(?:instructions?|prompt|directive)\b
    | \b(?:ignorier|missacht|vergiss|vergessen|übergeh|überspring)\w*[^.!?\n]{0,60}
      (?:frage|anweisung|vorgabe|bisherig|vorherig|obig|kontext|alles|dokument|regel)
    | \b(?:antworte|antworten\ sie|schreibe|schreiben\ sie|gib|geben\ sie|sage|nenne)\b[^.!?\n]{0,60}
      \b(?:nur|ausschließlich|stattdessen|genau|lediglich|wörtlich|einzig)\b
    | \b(?:statt|anstatt|anstelle)\b[^.!?\n]{0,40}(?:antwort|frage)
    | \b(?:an|hinweis\ (?:an|für)|achtung|liebe[rs]?)\s+(?:die\ |den\ |das\ |alle\ |jede[nrs]?\ )?
      (?:ki|ki-\w+|assistent\w*|sprachmodell\w*|chatbots?)\b
    | \b(?:ki|ki-\w+|assistent(?:en|in)?|sprachmodelle?|chatbots?)\b[^.!?\n]{0,60}
      \b(?:muss|müssen|soll|sollen|hat\ zu|haben\ zu|bitte)\b
    | \b(?:beginne|beende|ergänze|füge|hänge|beginnen\ sie|beenden\ sie)\b[^.!?\n]{0,60}antwort
    | (?:忽略|无视|忘记|忘掉|不要理会|不必理会|不用管|跳过|不要回答|不必回答)[^。！？\n]{0,30}
      (?:问题|指令|指示|提示|以上|上述|上面|之前|前面|先前|文档|规则|内容|要求|所有)
    | (?:不要|不必|别|勿|请勿)(?:回答|理会|引用)
    | (?:只|仅|直接|一律|统一|必须|务必|请)(?:需|要|能|可)?(?:回答|回复|输出|答复|写出|答)
    | (?:(?<![A-Za-z])AI(?![A-Za-z])|人工智能|大?语言模型|助手|聊天机器人|智能客服)[^。！？\n]{0,20}(?:请|必须|务必|：)
    | (?:如果|若|假如)?你是(?:一个|一名)?(?:AI|人工智能|语言模型|助手|机器人)
    | ^\W*(?:系统|助手|用户)(?:提示|指令|消息|通知)?\s*[：:]
    | (?:回答|回复|答案|答复)的?(?:开头|结尾|末尾|最后|前面|后面)(?:必须|都要|须|一律|应当?|请)?(?:加上|附上|包含|写上)
    """,
    re.I | re.X | re.M,
)


def is_instruction(text: str) -> bool:
    """Whether a sentence speaks to a model."""
    return SIGNS.search(text) is not None
