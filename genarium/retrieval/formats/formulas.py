"""Formulas as a line of text: Word's (Office MathML) and the web's (MathML), as Word's linear format writes them."""

from __future__ import annotations

import re
from typing import Any


def mathml(element: Any) -> str:
    """MathML in a line: fractions as a/b, powers as x^2, roots as √(x)."""
    return " ".join(_mathml(element).split())


def omml(element: Any) -> str:
    """`m:oMath` in a line."""
    return " ".join(_omml(element).split())


def grouped(text: str) -> str:
    """In brackets, unless it is one name or number."""
    text = text.strip()
    return text if re.fullmatch(r"\w*|\w+\.\w+|\([^()]*\)", text) else f"({text})"


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _mathml(element: Any) -> str:
    name = _name(element)
    if name in ("annotation", "annotation-xml", "mphantom") or not name:
        return ""
    parts = [_mathml(child) for child in element if _name(child)]
    if name in ("mfrac", "msup", "msub", "msubsup", "mroot", "mover", "munder", "munderover"):
        if name == "mfrac" and len(parts) == 2:
            return f"{grouped(parts[0])}/{grouped(parts[1])}"
        if name == "mroot" and len(parts) == 2:
            return f"√({parts[1]}&{parts[0]})"
        marks = {"msup": "^", "mover": "^", "msub": "_", "munder": "_"}.get(name, "_^")
        if len(parts) == len(marks) + 1:
            return parts[0] + "".join(mark + grouped(part) for mark, part in zip(marks, parts[1:], strict=True))
    if name == "msqrt":
        return f"√({''.join(parts)})"
    if name in ("mi", "mn", "mo", "mtext", "ms"):
        text = " ".join("".join(element.itertext()).split())
        return f" {text} " if name == "mo" and text in "=<>≤≥≠≈+−-→⇒∈" and text else text
    if name == "mspace":
        return " "
    if name == "mtr":
        return " ".join(parts) + "; "
    if name == "mtd":
        return "".join(parts) + " "
    if name == "mfenced":
        return f"{element.get('open', '(')}{', '.join(parts)}{element.get('close', ')')}"
    return "".join(parts) or (element.text or "" if not len(element) else "")


def _omml(element: Any) -> str:
    name = _name(element)
    if name in ("ctrlPr", "rPr", "del", "moveFrom") or name.endswith("Pr"):
        return ""
    if name == "t":
        return element.text or ""
    said = [(_name(child), _omml(child)) for child in element]  # once: each level twice would be too much in 50
    parts: dict[str, list[str]] = {}
    for key, text in said:
        parts.setdefault(key, []).append(text)
    written = _structure(element, name, {key: "".join(found) for key, found in parts.items()}, parts)
    return "".join(text for _, text in said) if written is None else written


def _structure(element: Any, name: str, one: dict[str, str], all_: dict[str, list[str]]) -> str | None:
    """A structure of Office MathML by its parts (ECMA-376 part 1, 22.1.2); None for what is its parts in order."""
    base = one.get("e", "")
    down = f"_{grouped(one['sub'])}" if one.get("sub", "").strip() else ""
    up = f"^{grouped(one['sup'])}" if one.get("sup", "").strip() else ""
    degree = f"{one['deg']}&" if one.get("deg", "").strip() else ""
    if name == "d":
        inside = _property(element, "sepChr", "|").join(all_.get("e", []))
        return f"{_property(element, 'begChr', '(')}{inside}{_property(element, 'endChr', ')')}"
    if name in ("acc", "groupChr"):
        return base + _property(element, "chr", "\u0302" if name == "acc" else "⏟")
    if name == "nary":
        return f"{_property(element, 'chr', '∫')}{down}{up} {base}"
    return {
        "f": f"{grouped(one.get('num', ''))}/{grouped(one.get('den', ''))}",
        "sSup": base + up,
        "sSub": base + down,
        "sSubSup": base + down + up,
        "sPre": down + up + base,
        "rad": f"√({degree}{base})",
        "m": f"({'; '.join(all_.get('mr', []))})",
        "mr": ", ".join(all_.get("e", [])),
        "eqArr": "; ".join(all_.get("e", [])),
        "func": f"{one.get('fName', '')} {base}",
        "limLow": f"{base}_{grouped(one.get('lim', ''))}",
        "limUpp": f"{base}^{grouped(one.get('lim', ''))}",
    }.get(name)


def _property(element: Any, name: str, default: str) -> str:
    """The sign that a structure's properties name."""
    for properties in element:
        if _name(properties).endswith("Pr"):
            for one in properties:
                if _name(one) == name:
                    return next((value for key, value in one.attrib.items() if key.endswith("val")), "")
    return default
