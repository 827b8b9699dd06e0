"""200 conversations of the kinds that people have with a chatbot: prose in many languages, code, data, and mixtures."""

import random
from collections.abc import Sequence

from domain.model import Speaker, Turn

PROSE = (
    "Everyone has the right to life, liberty and security of person. No one shall be held in slavery or servitude. ",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt. ",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison. ",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos, dotados como están de razón. ",
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом. ",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا. ",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। ",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. ",
    "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. ",
    "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. ",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi. ",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. ",
    "ทุกคนมีสิทธิในการดำเนินชีวิต เสรีภาพ และความมั่นคงแห่งตัวตน ",
)
ENGLISH = PROSE[:1]
OTHER = (
    "def settle(run, ending):\n    for entry in run.entries:\n        if entry.seq > ending.previous:\n            yield entry\n",
    "SELECT g.id, count(*) FROM generations g JOIN messages m ON m.id = g.reply_id WHERE g.ended_at IS NULL GROUP BY 1;\n",
    '{"id": 17, "name": "item-17", "price": 23.29, "tags": ["a", "b"], "stock": null},\n',
    "| first | second | third |\n|---|---|---|\n| **bold** | `code` | [link](https://example.org/a?b=1) |\n",
    "WHY IS THIS SO LOUD AND WHAT CAN BE DONE ABOUT IT? 😀🎉 thanks!!! ",
    "The total of 1,234.56 is due on 2026-03-31; call 555-0100 between 09:30 and 17:45. ",
)


def conversations(count: int, seed: int = 1, *, languages: Sequence[str] = PROSE) -> list[tuple[Turn, ...]]:
    dice = random.Random(seed)
    return [_conversation(dice, languages) for _ in range(count)]


def _conversation(dice: random.Random, languages: Sequence[str]) -> tuple[Turn, ...]:
    """One to nine turns, alternating, as a window has them; one person keeps to a language."""
    language = dice.choice(languages)
    speakers = [Speaker.USER, Speaker.ASSISTANT] * dice.randrange(5) + [Speaker.USER]
    turns = [Turn(speaker, _text(dice, language)) for speaker in speakers]
    system = [Turn(Speaker.SYSTEM, "Be brief. " + dice.choice(PROSE))] if dice.random() < 0.5 else []
    return (*system, *turns)


def _text(dice: random.Random, language: str) -> str:
    parts = [dice.choice(OTHER) if dice.random() < 0.2 else language for _ in range(dice.randrange(1, 12))]
    return "".join(parts).strip()
