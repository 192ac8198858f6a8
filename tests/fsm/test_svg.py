"""Pictures as SVG: all of a diagram is in them, nothing lies on anything else, no arrows cross that need not."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from svg_reader import Picture, on_each_other, read
from svg_samples import SAMPLES

from fsm.render.model import Arrow, Caption, Diagram, Group, Node, Role, Tone
from fsm.render.svg import svg
from fsm.render.views import whole


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Diagram:
    """One of the example diagrams."""
    return SAMPLES[request.param]()


# --- any diagram ------------------------------------------------------------------------------------

words = st.text(st.sampled_from("abcdefghmw_ <&é"), max_size=40)
captions = st.builds(
    Caption, words, st.just("edge"), st.lists(words, max_size=2).map(tuple), st.just(("keep_polling",))
)


@st.composite
def diagrams(draw: st.DrawFn) -> Diagram:
    """Of up to seven nodes in up to two nested groups and one more, and twelve arrows of any kind."""
    count = draw(st.integers(1, 7))
    inner = draw(st.lists(captions, max_size=2))
    nodes = [
        Node(f"n{i}", draw(words), draw(st.sampled_from(Role)), inner=tuple(inner) if i == 1 else ())
        for i in range(count)
    ]
    ids = draw(st.permutations([n.id for n in nodes]))
    cuts = sorted(draw(st.lists(st.integers(0, count), min_size=3, max_size=3)))
    groups = []
    if cuts[0]:
        groups.append(Group("in", draw(words), tuple(ids[: cuts[0]])))
    if cuts[1] > cuts[0]:
        groups.append(Group("out", draw(words), (*(g.id for g in groups), *ids[cuts[0] : cuts[1]])))
    if cuts[2] > cuts[1]:
        groups.append(Group("other", draw(words), tuple(ids[cuts[1] : cuts[2]])))
    arrow = st.builds(
        Arrow,
        st.sampled_from([*ids, *(g.id for g in groups)]),
        st.sampled_from(ids),
        st.sampled_from(Tone),
        st.lists(captions, max_size=2).map(tuple),
        st.none() | st.integers(1, 2000),
        st.none() | words,
        st.none() | st.floats(0, 1),
    )
    return Diagram("any", "Any", "Anything.", tuple(nodes), tuple(draw(st.lists(arrow, max_size=12))), tuple(groups))


def check(diagram: Diagram) -> Picture:
    """Everything that holds for every picture."""
    picture = read(svg(diagram))
    texts = [*picture.heads, *picture.outside, *(t for a in picture.arrows for t in a.texts)]
    texts += [t for inside in picture.inner.values() for t in inside]
    assert all(text.inside(picture.page) for text in texts)
    assert not [pair for pair in combinations(texts, 2) if pair[0].meets(pair[1])]
    _boxes_hold_what_is_theirs(picture)
    _arrows_are_those_of(diagram, picture)
    for arrow in picture.arrows:
        _clear_of_others(arrow.index, picture)
    assert not [(a.index, b.index) for a, b in combinations(picture.arrows, 2) if on_each_other(a, b)]
    return picture


def _boxes_hold_what_is_theirs(picture: Picture) -> None:
    boxes = [*picture.nodes.values()]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].meets(pair[1])]
    for node, inside in picture.inner.items():
        assert all(text.inside(picture.nodes[node]) for text in inside)
    for one, other in combinations(picture.groups.values(), 2):
        assert one.inside(other) or other.inside(one) or not one.meets(other)


def _arrows_are_those_of(diagram: Diagram, picture: Picture) -> None:
    assert set(picture.nodes) == {n.id for n in diagram.nodes}
    drawn = {(a.index, a.source, a.target, a.tone) for a in picture.arrows}
    assert len(picture.arrows) == len(diagram.arrows)
    assert drawn == {(i, a.source, a.target, str(a.tone)) for i, a in enumerate(diagram.arrows)}
    places = {**picture.nodes, **picture.groups}
    for arrow in picture.arrows:
        assert places[arrow.source].edge_has(arrow.points[0]), f"{arrow} leaves from elsewhere"
        assert picture.nodes[arrow.target].edge_has(arrow.points[-1]), f"{arrow} ends elsewhere"


def _clear_of_others(index: int, picture: Picture) -> None:
    """No line runs through a box or a text, no text lies on a box or on the border of a group."""
    arrow = next(a for a in picture.arrows if a.index == index)
    boxes = [*picture.nodes.values()]
    texts = [*picture.heads, *(t for a in picture.arrows for t in a.texts)]
    for segment in arrow.segments:
        assert not [box for box in boxes if segment.meets(box) or box.meets(segment)], f"{arrow} runs through a box"
        assert not [text for text in texts if segment.meets(text)], f"{arrow} runs through a text"
    for text in arrow.texts:
        assert not [box for box in boxes if text.meets(box)], f"a text of {arrow} lies on a box"
        assert all(text.inside(box) or not text.meets(box) for box in picture.groups.values()), f"{arrow} on a border"


def test_nothing_lies_on_anything_else_in_the_examples(sample: Diagram) -> None:
    check(sample)


@settings(max_examples=150, deadline=None)
@given(diagrams())
def test_nothing_lies_on_anything_else_in_any_diagram(diagram: Diagram) -> None:
    check(diagram)


def drawn(ends: list[tuple[str, str]], *groups: Group, note: str | None = None) -> Picture:
    """The checked picture of arrows between nodes of one letter; w to z are ends."""
    ids = sorted({i for pair in ends for i in pair} - {g.id for g in groups})
    nodes = tuple(Node(i, i, Role.ENDED if i in "wxyz" else Role.ACTIVE) for i in ids)
    arrows = tuple(Arrow(s, t, Tone.PLAIN, (), note=note) for s, t in ends)
    return check(Diagram("drawn", "", "", nodes, arrows, groups))


def test_a_bent_line_that_ends_at_the_height_of_another_is_moved_off_it() -> None:
    drawn([("c", "w"), ("a", "w"), ("z", "d"), ("z", "a"), ("b", "y"), ("b", "y")])


def test_a_tall_note_on_a_loop_stays_clear_of_the_group_above() -> None:
    inner, outer = Group("in", "in", ("a", "b", "c")), Group("out", "out", ("in", "d"))
    drawn(
        [("a", "c"), ("d", "d"), ("b", "c")],
        inner,
        outer,
        note="refused once more for a long reason " * 12,
    )


def test_a_loop_of_a_group_is_told_outside_of_it() -> None:
    picture = drawn([("g", "a"), ("b", "b")], Group("g", "g", ("a", "b")), note="over and over")
    (text, *_), group = picture.arrows[0].texts, picture.groups["g"]
    assert text.left > group.right


def test_the_name_of_a_group_makes_way_for_an_arrow() -> None:
    group = Group("g", "a name that is far too long for this", ("b",))
    assert drawn([("a", "b")], group).heads[0].right < drawn([("b", "b")], group).heads[0].right


def test_an_inner_loop_does_not_make_the_outer_group_narrower() -> None:
    loops = [("a", "a"), ("b", "b")]
    picture = drawn(loops, Group("in", "in", ("a",)), Group("out", "out", ("in", "b")))
    wide = check(Diagram("wide", "", "", *_unequal(loops)))
    assert wide.groups["in"].right < wide.groups["out"].right
    assert picture.groups["in"].right < picture.groups["out"].right


def _unequal(loops: list[tuple[str, str]]) -> tuple[tuple[Node, ...], tuple[Arrow, ...], tuple[Group, ...]]:
    nodes = tuple(Node(i, i, Role.SETUP) for i in "ab")
    arrows = tuple(Arrow(s, t, Tone.PLAIN, (), note="a long reason" if s == "a" else None) for s, t in loops)
    return nodes, arrows, (Group("in", "in", ("a",)), Group("out", "out", ("in", "b")))


def test_loops_lie_within_each_other() -> None:
    there = [("a", "c"), ("a", "d"), ("a", "c"), ("a", "b"), ("b", "c"), ("c", "d")]
    back = [(target, source) for source, target in there]
    assert drawn(there).crossings() == 0
    assert drawn(back).crossings() == 0
    assert drawn([*there, *back]).crossings() == 0
    assert drawn([*there, ("d", "x")]).crossings() == 0


def test_loops_that_would_cross_go_along_different_sides() -> None:
    assert drawn([("a", "c"), ("b", "d"), ("a", "d")]).crossings() == 0


def test_of_many_arrows_between_neighbours_two_go_straight_and_the_others_around() -> None:
    picture = drawn([("a", "b")] * 4 + [("b", "a")], note="why")
    assert sorted(len(arrow.points) for arrow in picture.arrows) == [2, 2, 4, 4, 4]


# --- beauty -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["whole", "happy", "recovery", "operator", "neighbourhood", "path", "fleet"])
def test_no_two_arrows_cross(name: str) -> None:
    assert read(svg(SAMPLES[name]())).crossings() == 0


def test_crossings_are_seen_by_this_test() -> None:
    nodes = [Node(i, i, Role.ENDED if i in "xyz" else Role.ACTIVE) for i in "abcxyz"]
    ends = [(s, t) for s in "abc" for t in "xyz"]  # nine arrows that nobody can draw in a plane without one crossing
    arrows = [Arrow(s, t, Tone.PLAIN, (Caption(s + t, s + t),)) for s, t in ends]
    assert check(Diagram("k33", "", "", tuple(nodes), tuple(arrows))).crossings() > 0


@pytest.mark.parametrize("name", ["whole", "happy", "recovery", "operator", "neighbourhood", "path", "fleet"])
def test_a_picture_fits_a_page(name: str) -> None:
    page = read(svg(SAMPLES[name]())).page
    assert 960 <= page.right - page.left <= 1110
    assert page.bottom - page.top < 1500


def test_ends_stand_in_the_order_that_needs_no_crossing() -> None:
    nodes = [
        Node("a", "a", Role.ACTIVE),
        Node("b", "b", Role.ACTIVE),
        Node("x", "x", Role.ENDED),
        Node("y", "y", Role.ENDED),
    ]
    arrows = [Arrow("a", "y", Tone.PLAIN, ()), Arrow("b", "x", Tone.PLAIN, ())]
    picture = check(Diagram("twisted", "", "", tuple(nodes), tuple(arrows)))
    assert picture.nodes["y"].bottom < picture.nodes["x"].top


def test_a_group_is_left_at_its_border() -> None:
    picture = check(whole())
    arrow = next(a for a in picture.arrows if a.source == "active")
    assert arrow.points[0][0] == picture.groups["active"].right
    assert arrow.dotted
    assert not any(a.dotted for a in picture.arrows if a.source in picture.nodes)
