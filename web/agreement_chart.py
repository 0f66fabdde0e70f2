"""How often visitors agree with the model, by week, as a chart of bars."""

from dataclasses import dataclass
from datetime import date, timedelta

from feedback.review import Week

WEEKS = 26
HEIGHT, STEP, BAR = 100, 24, 18  # of the chart, from bar to bar, and of a bar, in the chart's own units


@dataclass(frozen=True)
class Bar:
    """The bar of a week with claims.

    :param x: of its left edge.
    :param height: its share of right answers, in units of the chart.
    """

    week: Week
    x: int
    height: float

    @property
    def share(self) -> float:
        """The share of claims that say that the answer was right, 0 to 1."""
        return self.week.right / self.week.claims


def first_monday(this_monday: date) -> date:
    """The Monday with which the chart begins."""
    return this_monday - timedelta(weeks=WEEKS - 1)


def bars(weeks: list[Week], this_monday: date) -> list[Bar]:
    """A bar for each week, at its place in time; the week that began on ``this_monday`` is the rightmost."""
    first = first_monday(this_monday)
    return [
        Bar(week, (week.monday - first).days // 7 * STEP + (STEP - BAR) // 2, HEIGHT * week.right / week.claims)
        for week in weeks
    ]
