"""Stories in which things happen one after the other to somebody's collection: the largest source of word problems."""

from collections.abc import Callable
from dataclasses import dataclass

from models.problems.record import UnsuitableError
from models.problems.story import Person, Story, Value, capital

_THINGS = (
    ("apples", "bag"),
    ("pears", "basket"),
    ("pencils", "box"),
    ("marbles", "jar"),
    ("stickers", "pack"),
    ("cookies", "tin"),
    ("eggs", "carton"),
    ("stamps", "envelope"),
    ("cards", "pack"),
    ("shells", "bucket"),
    ("buttons", "jar"),
    ("candles", "box"),
    ("coins", "bag"),
    ("beads", "tin"),
    ("books", "crate"),
    ("roses", "bunch"),
    ("nails", "box"),
    ("lemons", "basket"),
    ("bricks", "pile"),
    ("balloons", "pack"),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Who and what a chain is about."""

    hero: Person
    other: Person
    things: str
    container: str

    @property
    def containers(self) -> str:
        """The container's plural."""
        return self.container + ("es" if self.container.endswith(("x", "h")) else "s")


Happening = Callable[[Story, Scene, Value], tuple[str, Value]]


def _gain(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    more = story.draw(60, 399)
    text = story.pick(
        f"buys {more} more {scene.things}",
        f"finds {more} {scene.things}",
        f"gets {more} {scene.things} from {scene.other.name}",
        f"collects another {more} {scene.things}",
        f"is given {more} {scene.things} by {scene.other.name}",
        f"wins {more} {scene.things}",
    )
    return text, story.work(f"{scene.things} now", held, "+", more)


def _lose(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    fewer = story.draw(min(60, held.amount), max(60, min(399, held.amount - 1)))
    text = story.pick(
        f"gives {fewer} {scene.things} to {scene.other.name}",
        f"loses {fewer} of the {scene.things}",
        f"sells {fewer} of the {scene.things}",
        f"throws away {fewer} {scene.things}",
        f"uses {fewer} {scene.things}",
        f"lends {scene.other.name} {fewer} {scene.things}",
    )
    return text, story.work(f"{scene.things} now", held, "-", fewer)


def _gain_groups(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    groups, each = story.draw(3, 9), story.draw(12, 69)
    text = story.pick(
        f"buys {groups} {scene.containers} with {each} {scene.things} in each",
        f"gets {groups} {scene.containers} of {each} {scene.things} each",
        f"brings home {groups} {scene.containers}, each holding {each} {scene.things}",
        f"is given {each} {scene.things} by each of {groups} friends",
        f"collects {each} {scene.things} a day for {groups} days",
    )
    more = story.work(f"new {scene.things}", groups, "*", each)
    return text, story.work(f"{scene.things} now", held, "+", more)


def _lose_groups(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    groups, each = story.draw(3, 9), story.draw(12, 69)
    text = story.pick(
        f"gives {each} {scene.things} to each of {groups} friends",
        f"fills {groups} {scene.containers} with {each} {scene.things} each and sells them",
        f"uses {each} {scene.things} a day for {groups} days",
        f"sells {groups} {scene.containers} of {each} {scene.things} each",
        f"loses {groups} {scene.containers} with {each} {scene.things} in each",
    )
    gone = story.work(f"{scene.things} gone", groups, "*", each)
    return text, story.work(f"{scene.things} now", held, "-", gone)


def _multiply(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    times = story.draw(2, 5)
    words = {2: "doubles", 3: "triples"}
    text = f"works hard until there are {times} times as many {scene.things}"
    if times.amount in words:
        text = f"{words[times.amount]} the number of {scene.things}"
    return text, story.work(f"{scene.things} now", held, "*", times)


def _keep_part(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    part = story.divisor(held, 2, 5)
    name = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}[part.amount]
    text = story.pick(f"keeps only {name} of the {scene.things}", f"is left with {name} of the {scene.things}")
    return text, story.work(f"{scene.things} now", held, "/", part)


def _give_part(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    part = story.divisor(held, 2, 5)
    name = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}[part.amount]
    text = story.pick(
        f"gives {name} of the {scene.things} to {scene.other.name}", f"sells {name} of the {scene.things}"
    )
    gone = story.work(f"{scene.things} gone", held, "/", part)
    return text, story.work(f"{scene.things} now", held, "-", gone)


_HAPPENINGS: tuple[Happening, ...] = (
    _gain,
    _gain,
    _gain,
    _lose,
    _lose,
    _lose,
    _gain_groups,
    _gain_groups,
    _lose_groups,
    _multiply,
    _keep_part,
    _give_part,
)


def _ending(story: Story, scene: Scene, held: Value) -> tuple[str, Value]:
    """Return the closing question and the answer; some endings add a step."""
    hero, things = scene.hero, scene.things
    kind = story.rng.random()
    if kind < 0.6:
        ask = story.pick(
            f"How many {things} does {hero.name} have now?",
            f"How many {things} does {hero.he} have in the end?",
            f"How many {things} are there now?",
            f"What is the number of {things} at the end?",
        )
        return ask, held
    if kind < 0.85:
        shares = story.divisor(held)
        ask = story.pick(
            f"{capital(hero.he)} puts all of them equally into {shares} {scene.containers}."
            f" How many {things} are in each {scene.container}?",
            f"If {shares} friends share the {things} equally, how many does each friend get?",
            f"All the {things} are split equally among {shares} people. How many does each person get?",
        )
        return ask, story.work(f"{things} for each", held, "/", shares)
    price = story.draw(2, 6)
    ask = story.pick(
        f"{capital(hero.he)} sells all of them for ${price} each. How many dollars does {hero.he} get?",
        f"If each of them is worth ${price}, how many dollars are all of them worth?",
    )
    return ask, story.work("dollars", held, "*", price)


def chain(story: Story) -> tuple[str, Value]:
    """Tell how a collection grows and shrinks; returns the question and its answer."""
    hero, other = story.people(2)
    scene = Scene(hero, other, *story.rng.choice(_THINGS))
    start = story.draw(60, 500)
    texts = []
    held = start
    for _ in range(story.rng.choice((2, 3, 3, 4, 5, 5))):
        text, held = story.rng.choice(_HAPPENINGS)(story, scene, held)
        texts.append(text)
    if held is start:
        raise UnsuitableError
    ask, answer = _ending(story, scene, held)
    arrange = story.rng.choice((_in_order, _in_order, _joined, _start_last, _ask_first))
    if arrange is _ask_first and not ask.startswith(("How", "What")):
        arrange = _in_order
    return arrange(story, scene, start, texts, ask), answer


def _opening(story: Story, scene: Scene, start: Value) -> str:
    name, things = scene.hero.name, scene.things
    return story.pick(
        f"{name} has {start} {things}.",
        f"{name} starts with {start} {things}.",
        f"At first {name} has {start} {things}.",
        f"There are {start} {things} in the room of {name}.",
        f"{name} owns {start} {things}.",
    )


def _in_order(story: Story, scene: Scene, start: Value, texts: list[str], ask: str) -> str:
    told = [_opening(story, scene, start)]
    for index, text in enumerate(texts):
        when = (
            story.pick("Then ", "After that, ", "Next, ", "Later, ", "The next day, ")
            if index or story.rng.random() < 0.4
            else ""
        )
        told.append(capital(f"{when}{story.pick(scene.hero.he, scene.hero.he, scene.hero.name)} {text}."))
    return " ".join([*told, ask])


def _joined(story: Story, scene: Scene, start: Value, texts: list[str], ask: str) -> str:
    happenings = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and then {texts[-1]}"
    return f"{_opening(story, scene, start)} {capital(scene.hero.he)} {happenings}. {ask}"


def _start_last(story: Story, scene: Scene, start: Value, texts: list[str], ask: str) -> str:
    happenings = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and then {texts[-1]}"
    before = story.pick(
        f"Before all this {scene.hero.he} had {start} {scene.things}.",
        f"{capital(scene.hero.he)} had {start} {scene.things} to begin with.",
    )
    return f"{scene.hero.name} has some {scene.things}. {capital(scene.hero.he)} {happenings}. {before} {ask}"


def _ask_first(story: Story, scene: Scene, start: Value, texts: list[str], ask: str) -> str:
    happenings = f"{', '.join(texts[:-1])}, and then {texts[-1]}" if len(texts) > 1 else f"then {texts[0]}"
    lead = story.pick("Here is a puzzle.", "Work this out.", "Read the story and answer.")
    return f"{lead} {ask} This is what happens: {scene.hero.name} starts with {start} {scene.things}, {happenings}."
