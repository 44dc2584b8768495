"""A training run as one page: what it learnt, where it errs, how it looks inside, what it cost.

`read_run` reads and checks a run's files, `judge` asks the trained network about the test part,
`save_page` makes of one or several of these a page that needs nothing but itself, `save_pictures`
the same as PNG files. `chainrule report` is this room, called.

What a run's files say is data to be doubted: a number that is none is told with its file and
line, a name is text on the page, never markup.
"""

from chainrule.explain.run.judging import FirstLayer, Judgement, Mistake, judge
from chainrule.explain.run.page import Told, run_page, save_page
from chainrule.explain.run.pngs import save_pictures
from chainrule.explain.run.reading import Inside, RunRecord, read_run

__all__ = [
    "FirstLayer",
    "Inside",
    "Judgement",
    "Mistake",
    "RunRecord",
    "Told",
    "judge",
    "read_run",
    "run_page",
    "save_page",
    "save_pictures",
]
