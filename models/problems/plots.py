"""Word problems in which several quantities are compared, priced, produced or shared."""

from collections.abc import Callable

from models.problems.story import Story, Value, capital

Plot = Callable[[Story], tuple[str, Value]]


def comparison(story: Story) -> tuple[str, Value]:
    """Two or three people own things; each amount is told relative to another."""
    people = story.people(story.rng.choice((2, 3, 3)))
    things = story.pick("stamps", "toy cars", "shells", "comics", "marbles", "trophies", "postcards", "dolls")
    first = story.draw(25, 250)
    told = [f"{people[0].name} has {first} {things}."]
    amounts = [first]
    for person, earlier in zip(people[1:], people, strict=False):
        text, amount = _relative(story, person.name, earlier.name, things, amounts[-1])
        told.append(text)
        amounts.append(amount)
    total = amounts[0]
    for amount in amounts[1:]:
        total = story.work(f"{things} together", total, "+", amount)
    if story.rng.random() < 0.3:
        shares = story.divisor(total)
        ask = f"They put all their {things} equally into {shares} boxes. How many {things} are in each box?"
        total = story.work("in each box", total, "/", shares)
    else:
        ask = story.pick(f"How many {things} do they have together?", f"How many {things} do they have in all?")
    return " ".join([*story.shuffled(told), ask]), total


def _relative(story: Story, name: str, other: str, things: str, amount: Value) -> tuple[str, Value]:
    kind = story.rng.randrange(4)
    label = f"{name} has"
    if kind == 0:
        more = story.draw(11, 199)
        return f"{name} has {more} more {things} than {other}.", story.work(label, amount, "+", more)
    if kind == 1:
        fewer = story.draw(2, max(2, amount.amount - 1))
        return f"{name} has {fewer} fewer {things} than {other}.", story.work(label, amount, "-", fewer)
    if kind == 2:
        times = story.draw(2, 5)
        return f"{name} has {times} times as many {things} as {other}.", story.work(label, amount, "*", times)
    part = story.divisor(amount, 2, 5)
    share = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}[part.amount]
    return f"{name} has {share} as many {things} as {other}.", story.work(label, amount, "/", part)


def shopping(story: Story) -> tuple[str, Value]:
    """Somebody buys two or three kinds of things and may pay with a sum of money."""
    (buyer,) = story.people(1)
    goods = story.rng.sample(
        ("shirts", "hats", "lamps", "plates", "toys", "chairs", "plants", "mugs", "scarves", "games"), 3
    )
    costs, told = [], []
    for thing in goods[: story.rng.choice((2, 2, 3))]:
        count, price = story.draw(2, 19), story.draw(3, 49)
        told.append(story.pick(f"{count} {thing} at ${price} each", f"{count} {thing} that cost ${price} each"))
        costs.append(story.work(f"{thing} cost", count, "*", price))
    total = costs[0]
    for cost in costs[1:]:
        total = story.work("total cost", total, "+", cost)
    bought = f"{', '.join(told[:-1])} and {told[-1]}"
    if len(costs) == 3 or story.rng.random() < 0.4:
        ask = story.pick("How many dollars is that in total?", f"How much does {buyer.he} pay in dollars?")
        return f"{buyer.name} {story.pick('buys', 'orders', 'pays for')} {bought}. {ask}", total
    money = Value(min(total.amount + story.rng.randint(4, 150), 999))
    left = story.work("money left", money, "-", total)
    ask = story.pick("How many dollars are left?", f"How many dollars does {buyer.he} have left?")
    return story.pick(
        f"{buyer.name} has ${money}. {capital(buyer.he)} buys {bought}. {ask}",
        f"{buyer.name} buys {bought}, and pays out of ${money}. {ask}",
        f"{ask} {buyer.name} has ${money} and buys {bought}.",
    ), left


def production(story: Story) -> tuple[str, Value]:
    """A workshop makes things for some days, sets some aside and packs the rest."""
    place = story.pick("A bakery", "A factory", "A workshop", "A small farm", "A studio")
    things = story.pick("loaves", "cups", "candles", "baskets", "cheeses", "lamps", "kites")
    rate, days = story.draw(14, 99), story.draw(3, 9)
    made = story.work(f"{things} made", rate, "*", days)
    unit = story.pick("day", "hour", "week")
    told = [f"{place} makes {rate} {things} every {unit} for {days} {unit}s."]
    if story.rng.random() < 0.7:
        bad = story.draw(2, max(2, made.amount // 2))
        told.append(
            story.pick(
                f"{bad} of them are broken.", f"{bad} of them are given away.", f"The owner keeps {bad} of them."
            )
        )
        made = story.work(f"{things} left", made, "-", bad)
    if story.rng.random() < 0.6:
        size = story.divisor(made)
        boxes = story.work("boxes", made, "/", size)
        told.append(f"The rest is packed in boxes of {size}.")
        if story.rng.random() < 0.5:
            return " ".join([*told, "How many boxes are there?"]), boxes
        price = story.draw(2, 19)
        told.append(f"Each box sells for ${price}.")
        return " ".join([*told, "How many dollars do the boxes bring in?"]), story.work("dollars", boxes, "*", price)
    price = story.draw(2, 6)
    ask = f"The rest is sold for ${price} each. How many dollars is that?"
    return " ".join([*told, ask]), story.work("dollars", made, "*", price)


def seating(story: Story) -> tuple[str, Value]:
    """Rows of seats, some taken, some added."""
    place = story.pick("A theatre", "A cinema", "A hall", "A school", "A stadium")
    rows, seats = story.draw(3, 9), story.draw(14, 90)
    total = story.work("seats", rows, "*", seats)
    told = [f"{place} has {rows} rows with {seats} seats in each row."]
    if story.rng.random() < 0.5:
        extra = story.draw(14, 180)
        told.append(story.pick(f"Workers add {extra} more seats.", f"{extra} extra seats are brought in."))
        total = story.work("seats now", total, "+", extra)
    guests = story.draw(5, max(5, total.amount - 1))
    if story.rng.random() < 0.5:
        told.append(story.pick(f"{guests} seats are taken.", f"{guests} people sit down, one on each seat."))
        return " ".join([*told, "How many seats are still free?"]), story.work("free seats", total, "-", guests)
    adults, price = story.draw(2, 19), story.draw(11, 60)
    told.append(f"{adults} groups of {price} people come in and each person takes a seat.")
    taken = story.work("people", adults, "*", price)
    return " ".join([*told, "How many seats stay empty?"]), story.work("free seats", total, "-", taken)


def saving(story: Story) -> tuple[str, Value]:
    """Somebody saves for some weeks towards a price, or spends part of it."""
    (saver,) = story.people(1)
    weekly, weeks, start = story.draw(14, 90), story.draw(3, 9), story.draw(30, 400)
    saved = story.work("saved", weekly, "*", weeks)
    total = story.work("money in all", start, "+", saved)
    told = [
        f"{saver.name} has ${start} in the bank.",
        f"{capital(saver.he)} {story.pick('saves', 'earns', 'puts aside')} ${weekly} a week for {weeks} weeks.",
    ]
    if story.rng.random() < 0.5:
        told[0] = f"{saver.name} {story.pick('saves', 'earns', 'puts aside')} ${weekly} each week for {weeks} weeks."
        told[1] = f"{capital(saver.he)} already had ${start} before that."
    goal = story.draw(20, 900)
    thing = story.pick("bicycle", "guitar", "camera", "phone", "tent")
    if goal.amount > total.amount:
        told.append(f"A {thing} costs ${goal}.")
        ask = story.pick(
            f"How many more dollars does {saver.he} need to buy it?", "How many dollars are still missing?"
        )
        return " ".join([*told, ask]), story.work("missing", goal, "-", total)
    told.append(f"Then {saver.he} buys a {thing} for ${goal}.")
    left = story.work("money left", total, "-", goal)
    return " ".join([*told, f"How many dollars does {saver.he} have left?"]), left


def teamwork(story: Story) -> tuple[str, Value]:
    """Two people work at their own rates for the same time."""
    one, two = story.people(2)
    verb, things = story.rng.choice(
        (("paints", "tiles"), ("picks", "plums"), ("folds", "letters"), ("plants", "trees"), ("washes", "cars"))
    )
    first, second = story.draw(12, 90), story.draw(12, 90)
    both = story.work("together in one day", first, "+", second)
    days = story.draw(2, 9)
    total = story.work(f"{things} in all", both, "*", days)
    told = f"{one.name} {verb} {first} {things} a day and {two.name} {verb} {second} {things} a day."
    told += story.pick(f" They work for {days} days.", f" They do this for {days} days.")
    if story.rng.random() < 0.4:
        return f"{told} How many {things} is that in all?", total
    if story.rng.random() < 0.5:
        pay = story.divisor(total)
        told += f" They get $1 for every {pay} {things}."
        return f"{told} How many dollars do they get?", story.work("dollars", total, "/", pay)
    goal = Value(min(999, total.amount + story.rng.randint(5, 300)))
    told += f" The whole job is {goal} {things}."
    return f"{told} How many {things} are left to do?", story.work(f"{things} left", goal, "-", total)


def journey(story: Story) -> tuple[str, Value]:
    """A trip in two legs, and what remains of it or the time it takes."""
    (driver,) = story.people(1)
    how, hours = story.pick("drives", "rides", "travels"), story.draw(2, 9)
    speed, second_speed, second_hours = story.draw(12, 90), story.draw(12, 90), story.draw(2, 6)
    first = story.work("first part", speed, "*", hours)
    second = story.work("second part", second_speed, "*", second_hours)
    total = story.work("whole way", first, "+", second)
    told = (
        f"{driver.name} {how} for {hours} hours at {speed} km an hour and then for {second_hours} hours"
        f" at {second_speed} km an hour."
    )
    if story.rng.random() < 0.4:
        return f"{told} How many km is that in total?", total
    goal = Value(min(999, total.amount + story.rng.randint(5, 300)))
    told = story.pick(f"The trip is {goal} km long. {told}", f"{told} The whole trip is {goal} km long.")
    return f"{told} How many km are left?", story.work("km left", goal, "-", total)


def reading(story: Story) -> tuple[str, Value]:
    """Somebody reads part of a book and spreads the rest over some days."""
    (reader,) = story.people(1)
    pages, daily, days = story.draw(120, 900), story.draw(8, 70), story.draw(2, 9)
    done = story.work("pages read", daily, "*", days)
    left = story.work("pages left", pages, "-", done)
    told = [
        f"A book has {pages} pages.",
        f"{reader.name} reads {daily} pages a day for {days} days.",
    ]
    if story.rng.random() < 0.5:
        told = [
            f"{reader.name} reads {daily} pages of a book each day for {days} days.",
            f"The book has {pages} pages.",
        ]
    if story.rng.random() < 0.4:
        return " ".join([*told, "How many pages are left?"]), left
    rest = story.divisor(left)
    told.append(f"{capital(reader.he)} wants to finish the book in {rest} more days.")
    ask = f"How many pages must {reader.he} read each day?"
    return " ".join([*told, ask]), story.work("pages a day", left, "/", rest)


def feeding(story: Story) -> tuple[str, Value]:
    """Animals eat from a store for some days."""
    animals = story.pick("cows", "horses", "goats", "dogs", "elephants", "rabbits")
    count, each, days = story.draw(2, 9), story.draw(2, 19), story.draw(2, 7)
    daily = story.work("kg a day", count, "*", each)
    eaten = story.work("kg eaten", daily, "*", days)
    keeper = story.pick("A farmer", "A zoo", "A ranch", "A shelter")
    told = [f"{keeper} has {count} {animals}.", f"Each of them eats {each} kg of food a day."]
    if story.rng.random() < 0.3:
        return " ".join([*told, f"How many kg of food do the {animals} eat in {days} days?"]), eaten
    store = Value(min(999, eaten.amount + story.rng.randint(10, 300)))
    told = story.shuffled([*told[1:], f"There are {store} kg of food in the store."])
    told = [f"{keeper} has {count} {animals}.", *told]
    return " ".join([*told, f"How many kg are left after {days} days?"]), story.work("kg left", store, "-", eaten)


PLOTS: tuple[Plot, ...] = (
    comparison,
    shopping,
    shopping,
    production,
    production,
    seating,
    saving,
    teamwork,
    journey,
    reading,
    feeding,
)
