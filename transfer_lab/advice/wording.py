"""What advice.json says, in words: the same in the terminal, on the page and in a model's card. No
torch."""

from __future__ import annotations

from typing import NamedTuple

from transfer_lab.advice.advice import Advice, Alternative, MoreImages, Promise, Recommendation
from transfer_lab.advice.features.networks import SHORT
from transfer_lab.reporting.wording import listed, one_line

HOLDS_FOR = "Holds for new photos taken like these: not for another camera, place or season."

_TIMES = {2.0: "twice as many", 3.0: "three times", 4.0: "four times", 5.0: "five times"}
_QUESTIONS = {
    "recommendation": "what to do",
    "promise": "what to expect",
    "more_images": "what more photos would bring",
    "regime": "whether adjusting the network is better",
}
_DEEDS = {
    "linear_probe": "keep the pretrained network and train only its last layer",
    "partial_finetune": "also adjust the last blocks of the pretrained network",
    "full_finetune": "adjust the whole pretrained network",
    "lp_ft": "train the last layer first, then adjust the whole network",
}
_DOING = {
    "linear_probe": "only the last layer",
    "partial_finetune": "adjusting the last blocks",
    "full_finetune": "adjusting the whole network",
    "lp_ft": "the last layer first, then the whole network",
}
_MOST_NAMED = 3
_UNTESTED = ("no time", "failed")
_USUAL = "the usual way, only the last layer of the default network"


class Line(NamedTuple):
    """A head in capitals, what stands beside it, and what stands below in a quieter voice."""

    head: str
    text: str
    below: str = ""


def hundred(share: float) -> int:
    """So many of 100; never all, and never none, of what is only likely."""
    return min(99, max(1, round(100 * share))) if 0 < share < 1 else round(100 * share)


def between(low: float, high: float) -> str:
    """'82 to 89'."""
    return f"{hundred(low)} to {hundred(high)}"


def duration(seconds: float) -> str:
    """'4 s', '1 min 50 s', '2 h 5 min'; '0.02 s' of what is short."""
    if seconds < 9.95:
        digits = 0 if seconds >= 2.95 else 1 if seconds >= 0.25 else 2 if seconds >= 0.0095 else 3
        return f"{seconds:.{digits}f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(count: int) -> str:
    """'14 MB'."""
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def counted(count: int, one: str, many: str | None = None) -> str:
    """'1 photo', '1,412 photos'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def short_name(backbone: str) -> str:
    """A network as a person may write it: 'lite0', or without the library that it comes from."""
    known = {name: short for short, name in SHORT.items()}
    return known.get(backbone) or one_line(backbone.partition(":")[2] or backbone)


def deed(regime: str) -> str:
    """What is done to the network, as an order: 'keep it and train only a new last layer'."""
    return _DEEDS.get(regime, one_line(regime.replace("_", " ")))


def recommended(found: Recommendation) -> str:
    """'Keep the pretrained network and train only its last layer, at 224 px.'"""
    text = deed(found.regime)
    return f"{text[0].upper()}{text[1:]}, at {found.image_size} px."


def tried(other: Alternative | Recommendation, beside: Recommendation | None) -> str:
    """'adjusting the whole network at 224 px of lite1': a challenger, its size and network only
    where they are others than those that it is beside."""
    text = _DOING.get(other.regime, one_line(other.regime.replace("_", " ")))
    if beside is None or other.image_size != beside.image_size:
        text += f" at {other.image_size} px"
    if beside is None or other.backbone != beside.backbone:
        text += f" of {short_name(other.backbone)}"
    return text


def verdict(other: Alternative) -> str:
    """What the same photographs said of a challenger; never by how much."""
    told = {
        "dropped": "less promising after a first look",
        "no time": "no time left to try it",
        "worse": "worse",
    }
    return told.get(other.state, one_line(other.state))


def times(factor: float) -> str:
    """'twice as many'."""
    return _TIMES.get(factor, f"{factor:g} times as many")


def summary(advice: Advice) -> str:
    """What was handed over: '412 photos, 9 classes (31 to 80 each). 38 are near-copies ...'"""
    data = advice.data
    least, most = min(data.per_class, default=0), max(data.per_class, default=0)
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    photos, classes = counted(data.images, "photo"), counted(len(data.classes), "class", "classes")
    text = f"{photos}, {classes} ({each} each)."
    copies = data.images - data.groups
    if copies:
        are = "is a near-copy" if copies == 1 else "are near-copies"
        text += f" {copies:,} {are} of another and counted once."
    return text


def expected(promise: Promise) -> str:
    """'86 of 100 new photos right'."""
    return f"{hundred(promise.value)} of 100 new photos right"


def proportions(promise: Promise) -> str:
    """The share right where classes come as often as in the folder, if that is another number."""
    if promise.metric != "mean_recall" or hundred(promise.accuracy) == hundred(promise.value):
        return ""
    return (
        f"{hundred(promise.accuracy)} of 100 if your classes come as often as in this folder; "
        "the number above counts every class the same"
    )


def guessing(promise: Promise) -> str:
    """What no looking at all would reach."""
    return f"naming the largest class every time: {hundred(promise.majority)} of 100"


def more(found: MoreImages) -> str:
    """'twice as many: about 89 (84 to 92)'."""
    about = f"about {hundred(found.value)} ({between(found.low, found.high)})"
    return f"{times(found.factor)}: {about}"


def why_not(advice: Advice) -> list[tuple[str, str]]:
    """Each question that is not answered, and why."""
    return [(_QUESTIONS[one.question], one_line(one.reason)) for one in advice.abstentions]


def reasons(advice: Advice) -> list[str]:
    """Why something is not answered, each reason once, however many questions it is of; first of
    all that there was no time to look at all photographs."""
    hurried = [one_line(flag.text) for flag in advice.flags if flag.kind == "not_reached"]
    told = [reason for _, reason in why_not(advice)]
    return list(dict.fromkeys([*hurried, *told])) if told else []


def terminal(advice: Advice, page: str, next_command: str) -> list[Line]:
    """The whole advice for a window, a line a head; empty heads belong to the line above."""
    lines = [Line("", summary(advice))]
    if advice.recommendation is None:
        why_none = reasons(advice)
        lines.append(Line("NO ADVICE", " ".join(why_none[:1]), "\n".join(why_none[1:2])))
    else:
        lines += _answer(advice, advice.recommendation)
    lines += [
        *(Line("WEAKEST", text) for text in _weakest(advice)),
        *_to_check(advice, page),
        Line("", HOLDS_FOR if advice.promise else ""),
        Line("next:", next_command),
    ]
    return [line for line in lines if line.text]


def _answer(advice: Advice, found: Recommendation) -> list[Line]:
    lines = [Line("RECOMMENDED", recommended(found), f"network: {short_name(found.backbone)}")]
    unsaid = {one.question: one_line(one.reason) for one in advice.abstentions}
    if advice.promise:
        promise = advice.promise
        level = f"likely {between(promise.low, promise.high)}"
        below = "\n".join(filter(None, (f"({guessing(promise)})", proportions(promise))))
        lines.append(Line("EXPECT", f"{expected(promise)}, {level}", below))
    elif "promise" in unsaid:
        lines.append(Line("EXPECT", f"No number: {unsaid['promise']}"))
    if advice.cost:
        cost = advice.cost
        each = f"{duration(cost.predict_s_per_image)} a photo here"
        lines.append(
            Line("COST", f"training {duration(cost.fit_s)}; {each}; {size(cost.bytes)} on disk")
        )
    lines += [Line("WHY", text) for text in why(advice)]
    if advice.more_images:
        lines.append(Line("MORE PHOTOS", "; ".join(map(more, advice.more_images))))
    elif "more_images" in unsaid:
        lines.append(Line("MORE PHOTOS", f"No forecast: {unsaid['more_images']}"))
    return lines


def has_won(one: Alternative) -> bool:
    """Whether it is what is recommended."""
    return one.state in ("clearly better", "likely better")


def why(advice: Advice) -> list[str]:
    """What else was tried on the same photographs, in a sentence or two."""
    found = advice.recommendation
    tested = [one for one in advice.alternatives if not (has_won(one) or one.state in _UNTESTED)]

    def named(several: list[Alternative]) -> str:
        return listed(f"{tried(one, found)} ({duration(one.fit_seconds)})" for one in several)

    said = []
    if found and found.left_default:
        won = next((one.state for one in advice.alternatives if has_won(one)), "likely better")
        said.append(f"On the same photos this was {won} than {_USUAL}.")
        if tested:
            said.append(f"We also tried {named(tested)}, of which less is to be expected.")
    elif tested:
        none = "none was" if len(tested) > 1 else "not"
        said.append(f"We also tried {named(tested)}: {none} clearly better.")
    untried = [one for one in advice.alternatives if one.state == "no time"]
    if untried:
        said.append(
            f"There was no time for {named(untried)}, of which a test is several trainings; "
            "--budget gives more."
        )
    failed = [one for one in advice.alternatives if one.state == "failed"]
    if failed:
        said.append(f"Trying {listed(tried(one, found) for one in failed)} failed.")
    return [" ".join(said)] if said else []


def _weakest(advice: Advice) -> list[str]:
    known = [one for one in advice.per_class if one.images]
    if advice.promise is None or not known:
        return []
    worst = min(known, key=lambda one: one.recall)
    if worst.recall >= 0.95:
        return []
    text = f'"{one_line(worst.name)}" {hundred(worst.recall)} of 100'
    return [text + (f', taken for "{one_line(worst.taken_for)}"' if worst.taken_for else "")]


def _to_check(advice: Advice, page: str) -> list[Line]:
    # How many are near-copies stands in the first line.
    told = [flag for flag in advice.flags if flag.kind != "near_copies"]
    texts = [one_line(flag.text).rstrip(".") for flag in told]
    if not texts:
        return []
    shown, rest = texts[: 2 * _MOST_NAMED], len(texts) - 2 * _MOST_NAMED
    text = "; ".join(shown) + (f"; and {rest} more" if rest > 0 else "")
    return [Line("PLEASE CHECK", f"{text} -> {one_line(page)}")]
