"""The skeletons of the drawn digits: pen strokes, in several writing styles per digit.

A skeleton is text: control points `x,y` in per cent of the digit's box, x to the right and y
down, joined by a smooth spline. `!` after a point makes it a corner; `;` lifts the pen. A style
that is listed twice is twice as likely.
"""

from __future__ import annotations

__all__ = ["SKELETONS"]

SKELETONS: dict[int, tuple[str, ...]] = {
    0: (
        # closed, round
        "50,0 22,10 8,50 22,90 50,100 78,90 92,50 78,10 50,0",
        # narrow
        "50,0 30,12 22,50 30,88 50,100 70,88 78,50 70,12 50,0",
        # the end runs past the beginning, inside
        "62,4 35,3 12,30 10,68 36,98 68,94 90,62 86,25 62,3 42,6 34,16",
        # the end stays outside and leaves a hook
        "58,8 30,8 10,40 16,82 48,100 80,82 92,45 78,12 50,2 24,6",
        # begun at the top right, not quite closed
        "76,12 48,0 18,20 8,58 26,94 58,98 86,74 90,34 72,6",
        # begun at the top left, open at the top
        "26,10 8,40 16,86 50,100 84,80 92,36 74,4",
        # low and wide
        "60,14 24,20 4,50 16,84 50,96 90,74 96,44 72,22 40,22",
        # narrow, the ends crossing at the top
        "70,0 44,14 24,48 26,88 48,100 70,70 76,30 60,4 44,12",
    ),
    1: (
        "50,0 50,50 50,100",
        "50,0 50,50 50,100",
        "62,0 50,50 38,100",
        "74,0 50,50 26,100",
        # flag
        "32,20 45,10 54,0! 52,50 50,100",
        # flag and foot
        "28,22 44,11 52,0! 51,50 50,100 ; 25,100 50,99 76,100",
        # foot without flag
        "50,0 50,50 50,100 ; 28,100 50,100 72,99",
    ),
    2: (
        # pointed corner at the lower left
        "10,26 28,4 62,2 82,24 70,52 40,78 8,100! 50,97 95,100",
        # flat foot that swings
        "14,20 38,1 72,6 80,30 60,60 30,84 8,98! 36,90 64,96 96,94",
        # looped
        "10,22 36,2 70,6 80,30 62,62 34,92 12,98 8,84 28,78 56,90 98,94",
        # large loop
        "16,14 50,0 82,16 76,48 46,84 16,96 6,80 24,66 50,80 70,96 98,86",
        # a Z with a round shoulder
        "8,10 40,2 78,6 76,24 44,60 6,98! 50,98 94,96",
        # hooked beginning
        "22,34 12,18 34,0 70,4 84,28 66,58 36,82 10,98! 48,96 92,98",
        # a round back with a small loop, like a partial-derivative sign
        "22,16 52,0 80,20 82,58 60,90 28,100 8,86 22,70 50,78 94,92",
        # long stem, wide foot
        "30,18 46,2 64,8 62,36 36,70 4,98! 48,92 98,90",
        # the loop stands up
        "18,20 42,0 66,14 64,44 40,80 14,98 4,88 18,74 44,84 72,98 98,84",
    ),
    3: (
        # two bowls with a cusp
        "12,14 42,0 76,10 74,34 40,47! 76,54 88,76 62,98 10,92",
        # round throughout
        "16,12 50,0 78,16 66,40 44,48! 78,58 84,84 50,100 14,86",
        # flat top
        "12,2 45,0 86,2! 62,22 42,42! 74,46 88,70 66,96 12,94",
        # small loop in the middle
        "14,10 50,0 76,18 60,40 38,50 34,42 52,46 82,66 76,92 40,100 10,88",
        # long tail
        "20,6 60,0 80,18 62,38 36,46! 70,48 86,68 68,92 34,100 4,98",
        # the lower bowl larger, no cusp to speak of
        "20,8 56,0 74,14 60,32 46,40! 80,46 92,72 66,98 28,98 8,84",
        # flat upper bowl leaning right, a small lower bowl
        "4,24 46,4 88,12 70,30 44,44! 64,50 74,70 58,92 26,100",
        # shallow bowls, straight tail
        "26,10 54,0 72,14 58,34 40,46! 60,52 66,70 50,90 22,100",
    ),
    4: (
        # open, square
        "20,0 14,30 10,52! 50,52 92,50 ; 74,4 72,50 70,100",
        # open, a cup
        "16,4 10,34 24,52 56,48 82,38 ; 84,0 76,50 68,100",
        # open, the second stroke short
        "24,0 12,30 14,50 46,54 80,48 ; 78,14 74,56 72,100",
        # closed, printed
        "70,100 70,50 70,0! 38,34 4,68! 50,68 98,67",
        # closed, with a lower bar
        "64,0 34,30 6,62! 50,62 94,60 ; 66,0 66,50 64,100",
        # one stroke: cup, up to the right, down
        "18,2 10,36 26,54 58,46 80,10! 76,55 70,100",
        # leaning, the cup pointed
        "34,0 18,26 6,54! 46,50 90,44 ; 92,2 70,48 48,100",
        # a y: shallow cup, long stem to the left
        "18,0 20,30 36,44 62,36 86,6! 70,52 50,100",
    ),
    5: (
        # printed: bar, stem, bowl
        "88,2 58,1 28,2! 24,22 20,44! 54,36 84,56 78,86 46,100 8,92",
        # bar drawn afterwards
        "28,6 24,24 22,44! 56,40 82,62 68,92 38,100 10,90 ; 28,6 56,4 90,0",
        # round: an S with a bar
        "86,4 52,2 28,16 30,38 62,52 78,74 58,96 14,96",
        # long slanting bar, small bowl
        "96,0 66,6 36,8! 30,26 26,40! 52,40 70,60 58,88 30,100 4,92",
        # bowl closes on itself
        "80,0 54,2 30,4! 24,24 16,46! 48,36 82,50 86,78 56,100 22,94 12,78",
        # the bar short and low, nearly joined to the bowl
        "28,0 26,22 24,40! 58,38 86,60 74,90 42,100 10,88 ; 30,2 54,5 78,4",
        # narrow, the bar short, rising
        "30,14 28,28 30,42! 56,48 68,66 54,90 20,100 ; 30,14 56,8 84,0",
        # bar joined far down, flat bowl
        "92,4 60,8 30,14! 24,30 22,44! 58,42 74,62 50,88 6,98",
    ),
    6: (
        # curved stem, closed bowl
        "70,0 40,18 18,50 18,84 46,100 76,90 80,66 56,54 26,68 18,80",
        # straight stem
        "56,0 36,28 18,60 22,90 52,100 78,84 72,62 46,58 22,76",
        # upright, big bowl
        "48,0 24,24 10,60 20,92 52,100 86,86 84,58 54,44 24,58 14,74",
        # low small bowl
        "78,2 44,14 18,46 12,80 36,100 64,94 70,76 50,66 28,76 20,88",
        # bowl left open
        "64,0 32,20 12,56 22,92 56,100 82,82 74,58 44,56",
        # the bowl curls in
        "42,0 22,30 14,66 30,98 62,96 78,74 62,56 38,64 34,80",
        # lying: long stem to the right, flat bowl
        "96,6 54,26 20,56 8,84 34,98 70,90 76,72 50,66 20,80",
        # narrow, tall stem
        "58,0 44,26 34,60 34,90 50,100 64,86 62,70 48,68 36,82",
        # a U closed by its ring
        "22,0 10,40 16,84 46,100 78,86 84,58 66,44 48,62 50,94",
    ),
    7: (
        # printed
        "8,4 48,2 88,0! 64,48 46,100",
        # rounded shoulder
        "10,12 40,4 78,4 84,14 62,52 46,100",
        # serif at the left
        "12,22 10,8 12,6! 50,5 90,2! 66,46 42,100",
        # with a bar
        "8,4 48,3 88,2! 62,50 42,100 ; 34,52 58,50 86,48",
        # with a serif and a bar
        "10,18 14,4! 50,5 88,2! 64,50 44,100 ; 36,50 60,48 80,46",
        # straight stem
        "16,6 50,2 80,2! 76,50 70,100",
        # bent stem
        "6,8 46,4 86,4! 66,30 56,64 54,100",
        # hooked beginning, straight stem
        "20,34 22,14 30,2! 56,6 80,4! 72,48 62,100",
        # wide, drooping, with a bar low on the stem
        "4,20 8,6! 50,6 92,4! 66,40 38,100 ; 24,64 54,58 92,52",
        # arched
        "14,26 32,6 62,2 80,18 72,50 56,100",
    ),
    8: (
        # one stroke, begun at the top right
        "78,10 50,0 24,14 34,38 66,58 80,82 50,100 22,84 38,56 68,36 80,12",
        # closed, begun at the top
        "52,0 26,12 32,38 66,58 76,84 50,100 24,86 36,58 66,40 76,14 52,0",
        # two rings
        "50,0 28,10 28,36 50,48 72,36 72,10 50,0 ; 50,48 20,60 20,90 50,100 80,90 80,60 50,48",
        # small upper ring, slanting
        "86,4 56,4 36,20 46,40 66,60 68,88 42,100 18,84 34,56 64,32 84,8",
        # begun in the middle, open at the top
        "66,2 36,4 24,24 44,44 68,62 66,90 40,100 20,86 30,62 60,42 84,14",
        # large upper ring
        "74,6 40,0 14,24 34,48 62,66 66,90 44,100 28,88 42,62 78,38 76,10",
        # narrow lower ring that is nearly a stem
        "82,12 56,0 30,12 32,36 54,52 58,74 46,100 36,80 46,54 78,34 84,14",
        # begun at the top right, long crossing, open
        "90,10 60,2 32,16 40,38 58,60 56,88 36,100 18,86 32,62 60,38 92,4",
    ),
    9: (
        # straight tail
        "78,16 48,0 18,16 18,40 46,50 74,34 80,8! 76,54 72,100",
        # tail to the left
        "80,18 52,0 22,14 18,38 46,48 74,30 80,12! 74,50 56,80 26,100",
        # curled tail
        "76,20 46,0 16,20 22,46 52,48 76,22! 84,50 76,84 46,100 16,90",
        # a ring and a stem
        "76,22 60,2 30,4 18,28 36,46 64,40 78,20 76,6! 72,50 62,100",
        # no corner at the junction, slanting
        "86,8 54,0 22,20 24,44 54,44 80,20 84,8 70,52 50,100",
        # small ring
        "66,14 44,0 20,12 22,32 44,38 64,24 70,6! 70,50 72,100",
        # open ring
        "70,6 34,6 16,28 34,46 64,36 80,6! 74,52 66,100",
        # flat pointed ring, stem continues its right side
        "74,14 44,10 14,38 22,50 50,40 76,12! 66,56 54,100",
        # lens-shaped ring, leaning
        "84,6 50,6 20,30 22,46 52,40 86,4! 66,50 44,100",
        # small ring with an overshoot at the top
        "72,26 62,4 38,4 22,24 34,42 58,38 72,18! 72,56 70,100",
        # begun at the junction, ring round, long straight stem
        "70,30 48,44 26,36 24,12 46,0 68,10 74,34! 74,64 72,100",
        # ring high and small, leaning stem
        "76,10 54,0 34,12 32,30 50,36 72,20 80,4! 60,52 38,100",
    ),
}
