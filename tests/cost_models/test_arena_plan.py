"""Memory plans: always valid, placed as TFLM's greedy planner places, and a checker that finds each fault."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cost_models.arena import Buffer, arena, plan, timeline, verify_plan
from cost_models.arena.planner import Requirement, head_bytes, offsets
from cost_models.cores import CORES
from cost_models.graph import Operator, OpGraph, Tensor

requirements = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(0, 6)).map(
        lambda drawn: (16 * drawn[0], drawn[1], drawn[1] + drawn[2])
    ),
    max_size=24,
)


def greedy(needs: list[Requirement]) -> list[int]:
    """The greedy planner said again, slowly and by its definition."""
    order = list(reversed(range(len(needs))))
    order.sort(key=lambda index: needs[index][0], reverse=True)
    placed: dict[int, int] = {}
    for index in order:
        size, first, last = needs[index]
        offset = 0
        while True:
            clash = [
                placed[other] + needs[other][0]
                for other in placed
                if needs[other][1] <= last
                and first <= needs[other][2]
                and placed[other] < offset + size
                and offset < placed[other] + needs[other][0]
            ]
            if not clash:
                break
            offset = min(clash)
        placed[index] = offset
    return [placed[index] for index in range(len(needs))]


def buffers_of(needs: list[Requirement]) -> list[Buffer]:
    return [
        Buffer(offset=offset, size=size, first_use=first, last_use=last)
        for offset, (size, first, last) in zip(offsets(needs), needs)
    ]


@given(requirements)
def test_every_plan_is_valid_in_the_room_it_says_it_needs(needs: list[Requirement]) -> None:
    assert not verify_plan(buffers_of(needs), head_bytes(needs))


@given(requirements)
def test_no_plan_beats_what_is_alive_at_once(needs: list[Requirement]) -> None:
    live = [sum(size for size, first, last in needs if first <= time <= last) for time in range(20)]
    assert max(live) <= head_bytes(needs) <= sum(size for size, _, _ in needs)


@given(requirements)
def test_each_buffer_lies_in_the_first_gap_that_holds_it(needs: list[Requirement]) -> None:
    filled = [need for need in needs if need[0]]
    assert offsets(filled) == greedy(filled)


def test_of_two_equal_buffers_the_later_one_is_placed_first() -> None:
    assert offsets([(16, 0, 1), (16, 1, 2)]) == [16, 0]


def test_a_buffer_fits_between_two_that_are_alive_with_it() -> None:
    assert offsets([(64, 0, 4), (48, 0, 1), (32, 0, 4), (16, 3, 4)]) == [0, 64, 112, 64]


@given(requirements.filter(lambda needs: any(need[0] for need in needs)), st.data())
def test_the_checker_finds_a_buffer_moved_onto_another(needs: list[Requirement], data: st.DataObject) -> None:
    buffers = [buffer for buffer in buffers_of(needs) if buffer.size]
    room = max(buffer.offset + buffer.size for buffer in buffers)
    victim = data.draw(st.sampled_from(buffers))
    intruder = replace(victim, first_use=victim.last_use)
    assert (
        verify_plan([*buffers, intruder], room)
        == (f"Buffers {buffers.index(victim)} and {len(buffers)} overlap.",)
        or len(verify_plan([*buffers, intruder], room)) > 1
    )


def test_the_checker_names_each_fault() -> None:
    good = Buffer(offset=0, size=32, first_use=0, last_use=1)
    assert verify_plan([good], 32) == ()
    assert verify_plan([replace(good, offset=8)], 64) == ("Buffer 0 is not aligned to 16 bytes.",)
    assert verify_plan([replace(good, size=20)], 64) == ("Buffer 0 is not aligned to 16 bytes.",)
    assert verify_plan([good], 16) == ("Buffer 0 is not inside the arena of 16 bytes.",)
    assert verify_plan([replace(good, offset=-16)], 64) == ("Buffer 0 is not inside the arena of 64 bytes.",)
    assert verify_plan([replace(good, first_use=2)], 32) == (
        "Buffer 0 is last used before it is first used.",
    )
    assert verify_plan([good, replace(good, offset=16)], 64) == ("Buffers 0 and 1 overlap.",)
    assert verify_plan([good, replace(good, first_use=2, last_use=3)], 32) == ()


@st.composite
def graphs(draw: st.DrawFn) -> OpGraph:
    """Chains of pointwise operators with skips, whose tensors come in any numbering."""
    count = draw(st.integers(1, 12))
    shapes = draw(
        st.lists(st.tuples(st.just(1), st.integers(1, 300)), min_size=count + 1, max_size=count + 1)
    )
    number = draw(st.permutations(range(count + 1)))
    tensors = [Tensor(shape=(1,))] * (count + 1)
    for index, shape in zip(number, shapes):
        tensors[index] = Tensor(shape=shape, scales=1, zero_points=1)
    operators = []
    for at in range(count):
        skip = draw(st.integers(0, at))
        kind = "RELU" if skip == at else "ADD"
        inputs = (number[at],) if skip == at else (number[at], number[skip])
        operators.append(Operator(kind=kind, inputs=inputs, outputs=(number[at + 1],)))
    return OpGraph(
        tensors=tuple(tensors), operators=tuple(operators), inputs=(number[0],), outputs=(number[count],)
    )


@given(graphs(), st.sampled_from(list(CORES)))
def test_every_graph_has_a_valid_plan_that_fills_the_planned_bytes(graph: OpGraph, core: str) -> None:
    memory = arena(graph, kernels="reference", core=core)
    buffers = plan(graph, kernels="reference", core=core)
    assert not verify_plan(buffers, memory.planned_bytes)
    assert {buffer.tensor for buffer in buffers} == set(range(len(graph.tensors)))
    assert memory.planned_bytes + memory.persistent_bytes == memory.used_bytes <= memory.min_bytes
    assert memory.min_bytes % 16 == 0
    assert timeline(graph, kernels="reference", core=core).planned_bytes == memory.planned_bytes
