# ruff: noqa: E501
"""The words that composed passages are filled with: invented names, and the values of facts by type."""

from __future__ import annotations

import random


def pick(text: str) -> list[str]:
    return [part.strip() for part in text.split(";")]


FIRST = {
    "he": pick(
        "Ivo; Tomas; Henrik; Samuel; Arjun; Kofi; Matteo; Bruno; Yusuf; Pavel; Oscar; Liam; Rafael; Kenji; Anders; Viktor; Malik; Jorge; Edmund; Hugo; Tariq; Emeka; Stefan; Walter; Cyril; Nikolai; Alfred; Diego; Hassan; Leopold; George; Wei; Ernst; Piet"
    ),
    "she": pick(
        "Nora; Elif; Amara; Greta; Lucia; Ines; Freya; Sunita; Hanna; Marisol; Olga; Beatrice; Chidi; Yuki; Clara; Zofia; Leila; Agnes; Petra; Wilma; Aisha; Rosa; Ingrid; Thea; Camille; Dorothy; Anneke; Priya; Helena; Matilda; Sigrid; Naomi; Edith; Mei"
    ),
}
LAST = pick(
    "Albrecht; Okafor; Lindgren; Moreau; Takeda; Haverkamp; Petrov; Castellan; Nwosu; Brandt; Ferreira; Holloway; Iqbal; Jansen; Kaur; Lombardi; Marsh; Novak; Osterman; Pereira; Quist; Rahman; Sandoval; Tillery; Ueda; Vance; Wieland; Yilmaz; Zimmer; Ashdown; Bellamy; Crowther; Dimitrov; Eriksen; Fontaine; Grimaldi; Hartley; Ibsen; Kowalski; Lefevre; Mbeki; Nakamura; Orlov; Pryce; Rossi; Stokes"
)
TOWN = (
    "Ald Brack Cor Dun El Fal Grim Hol Isk Jar Kell Lan Mar Nor Ost Pel Quen Rav Sel Tarn Ul Vell Wex Yar Zell Ash Birk",
    "ford heim ova ton berg mouth stad by wick field haven minster dorf burgh ville more sund na dale bridge grad port",
)
REAL_TOWNS = pick(
    "London; Paris; Vienna; Prague; Lisbon; Oslo; Kyoto; Boston; Cairo; Lima; Dublin; Warsaw; Naples; Bergen; Bristol; Geneva; Hamburg; Krakow; Seville; Toronto; Chicago; Lagos; Mumbai; Istanbul; Edinburgh; Antwerp; Valencia; Riga; Porto; Leipzig"
)
COMPANY = (
    "Nord Velo Astra Brill Cobalt Delta Ever Ferro Gran Helio Inter Juno Kar Lumen Mona Omni Pola Quanta Rota Terra",
    "tec via lux mark works line gen dyne son mar tool craft plan ware co star phon med flex",
)
SPECIES = (
    "marsh; spotted; lesser; golden-eyed; blunt-nosed; ringed; common; striped; hairy; northern; glass; short-eared; long-tailed; river; cliff",
    "tarrow; vole; skink; finch; newt; crake; otter; gecko; beetle; heron; shrew; moth; bat; seal; toad; lemur; plover; crab; fox; antelope",
)


LISTS: dict[str, list[str]] = {
    "country": pick(
        "Norway; Portugal; Kenya; Brazil; Austria; Japan; Turkey; Poland; Mexico; Ireland; Finland; Greece; Chile; India; Peru; Canada; Egypt; Hungary; Vietnam; Morocco; Scotland; Bolivia; Estonia; Iceland; Denmark; Nepal"
    ),
    "direction": pick("north; south; east; west; north-west; south-east"),
    "ordinal": pick("first; second; third; fourth; youngest; eldest"),
    "count": pick("two; three; four; five; six; seven; eight; nine; ten; eleven; twelve; fourteen"),
    "job": pick(
        "baker; carpenter; nurse; lawyer; painter; fisherman; watchmaker; teacher; surgeon; gardener; printer; miller; engineer; "
        "shoemaker; botanist; soldier; tailor; pilot; librarian; blacksmith; translator; miner; postman; clerk; dancer; cook; "
        "astronomer; bricklayer; chemist; midwife; journalist; ship's captain; judge; farmer; piano tuner; beekeeper"
    ),
    "subject": pick(
        "law; medicine; botany; history; mathematics; chemistry; theology; astronomy; architecture; geology; music; physics; "
        "philosophy; Latin; economics; engineering; zoology"
    ),
    "language": pick(
        "Greek; Arabic; Russian; Welsh; Hindi; Portuguese; Finnish; Japanese; Spanish; Latin; German; Polish"
    ),
    "colour": pick(
        "red; green; blue; yellow; grey; black; white; brown; purple; orange; pink; silver; dark green; pale blue"
    ),
    "material": pick(
        "granite; oak; red brick; limestone; glass and steel; marble; concrete; clay; copper; slate; pine logs; sandstone; iron; bamboo"
    ),
    "pet": pick(
        "a tame raven; a goat; two cats; a monkey; an old dog; a tortoise; a parrot; a white horse; a hedgehog; a pig; three geese; a ferret"
    ),
    "pet name": pick(
        "Biscuit; Nero; Mopsy; Captain; Pepper; Ludo; Bella; Tinker; Sultan; Daisy; Bruno; Queenie; Rusty; Fidget; Saturn"
    ),
    "product": pick(
        "bicycles; umbrellas; ice skates; rubber boots; pianos; toy trains; raincoats; ladders; cameras; pencils; tractors; tents; "
        "scissors; lamps; wheelchairs; hats; kettles; sewing machines; canoes; locks; hearing aids; matches; saddles; mirrors"
    ),
    "month": pick("January; February; March; April; May; June; July; August; September; October; November; December"),
    "weekday": pick("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday"),
    "building": pick(
        "town hall; old lighthouse; iron bridge; clock tower; museum of clocks; water tower; cathedral; opera house; observatory; "
        "concert hall; city gate; harbour chapel; palace; botanical garden; fortress; grain exchange; covered market; castle; theatre"
    ),
    "event": pick(
        "boat race; chess tournament; ice festival; spring fair; bicycle race; kite competition; film festival; world fair; night run; "
        "poetry contest; cattle market; ballooning week; marathon; singing contest; sheepdog trial; ski race; flower show"
    ),
    "service": pick(
        "public library; swimming pool; toy museum; café by the station; zoo; skating rink; post office; garden restaurant; cinema; "
        "planetarium; bakery; cable railway; tea room; art gallery; youth hostel; ferry office; climbing hall; inn"
    ),
    "device": pick(
        "fruit dryer; coffee mill; rain gauge; steam iron; hedge cutter; coin sorter; incubator; water pump; washing machine; "
        "snow blower; pottery kiln; letter scale; key machine; milk separator; tumble dryer; bread oven; shoe polisher"
    ),
    "dish": pick(
        "shepherd's soup; chestnut cake; barley stew; plum bread; green pancake; harvest pie; lemon pudding; pepper cheese; "
        "sailor's porridge; walnut roll; bean salad; saffron bun; onion jam; milk tart; poppy dumpling"
    ),
    "title": pick(
        "The Salt Road; A House of Reeds; The Glass Orchard; Nine Winters; The Clockmaker's Dog; Under the Viaduct; Blue Harvest; "
        "The Last Ferry; The Weight of Snow; A Spoon for the King; Silent Mills; The Paper Garden; Letters from the Mast; Two Lanterns; "
        "The Empty Saddle; Evening at the Quarry; The Heron's Daughter"
    ),
    "model": pick(
        "Heron; Comet; Swift; Pico; Atlas; Marlin; Type 4; Duette; Orion; Model C; Zephyr; Badger; Lark; Junior; Viking"
    ),
    "river": pick("Ister; Wend; Ouse; Morava; Tay; Lune; Drava; Sorne; Elde; Kama; Vara; Arno; Teme; Blackwater"),
    "street": pick(
        "Mill Lane; Station Road; Canal Street; Bridge Street; Castle Hill; Market Square; Rose Alley; Harbour Street; Kings Road; "
        "Chapel Walk; Long Street; Orchard Way; Weaver Street; Victoria Avenue"
    ),
    "time": pick(
        "nine; half past six; eight o'clock; noon; a quarter to ten; 7.30; midnight; 9 a.m.; 5 p.m.; half past eight; four; eleven; "
        "a quarter past two; 10:15; ten in the morning; six in the evening"
    ),
}


def number(draw: random.Random) -> str:
    size = draw.choice([60, 400, 3_000, 60_000, 900_000])
    value = draw.randint(size // 6, size)
    if value > 1000 and draw.random() < 0.5:
        value = value // 100 * 100
    return draw.choice(["", "", "", "about ", "more than ", "almost "]) + f"{value:,}"


def amount(draw: random.Random, units: str, *, low: int = 2, high: int = 90) -> str:
    unit = draw.choice(pick(units))
    if draw.random() < 0.4:
        return f"{draw.choice(LISTS['count'])} {unit}"
    return f"{draw.randint(low, high)} {unit}"


def date(draw: random.Random) -> str:
    day, month, year = draw.randint(1, 28), draw.choice(LISTS["month"]), draw.randint(1780, 2023)
    ending = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd"}.get(day, "th")
    return draw.choice(
        [
            f"{day} {month} {year}",
            f"{month} {day}, {year}",
            f"the {day}{ending} of {month}",
            f"{day} {month}",
            f"{month} {year}",
        ]
    )


def money(draw: random.Random) -> str:
    value = draw.choice([draw.randint(2, 40), draw.randint(50, 900), draw.randint(2, 90) * 1000])
    forms = [
        f"${value:,}",
        f"{value:,} euros",
        f"£{value:,}",
        f"{value:,} crowns",
        f"{draw.choice(LISTS['count'])} pounds",
    ]
    return draw.choice(forms)


def person(draw: random.Random, pronoun: str | None = None) -> str:
    first = draw.choice(FIRST[pronoun or draw.choice(["he", "she"])])
    return f"{first} {draw.choice(LAST)}"


def town(draw: random.Random) -> str:
    if draw.random() < 0.25:
        return draw.choice(REAL_TOWNS)
    return draw.choice(TOWN[0].split()) + draw.choice(TOWN[1].split())


def value(draw: random.Random, kind: str, pronoun: str | None = None) -> str:
    """A value of the type: from its list, or made up."""
    if kind in LISTS:
        return draw.choice(LISTS[kind])
    makers = {
        "year": lambda: str(draw.randint(1620, 2022)),
        "date": lambda: date(draw),
        "person": lambda: person(draw, pronoun),
        "town": lambda: town(draw),
        "company": lambda: draw.choice(COMPANY[0].split()) + draw.choice(COMPANY[1].split()),
        "species": lambda: f"{draw.choice(pick(SPECIES[0]))} {draw.choice(pick(SPECIES[1]))}",
        "number": lambda: number(draw),
        "age": lambda: draw.choice(
            [str(draw.randint(5, 70)), "seventeen", "twelve", "thirty", "nineteen", "forty-one"]
        ),
        "duration": lambda: draw.choice(
            [
                amount(draw, "years; months; weeks; days; hours; minutes; seconds"),
                "half an hour",
                "an hour",
                "a year and a half",
            ]
        ),
        "length": lambda: amount(draw, "metres; centimetres; feet; inches; millimetres"),
        "distance": lambda: amount(draw, "kilometres; miles; hours on foot; sea miles"),
        "weight": lambda: amount(draw, "kilograms; grams; tons; pounds; ounces"),
        "money": lambda: money(draw),
    }
    return makers[kind]()
