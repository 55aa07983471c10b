"""Two graphs over one allocator: the arena of both, and what a network adds to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cost_models.arena import Arena, ArenaPartner, arena
from cost_models.arena.allocator import demands, fill
from cost_models.arena.build import find_build
from cost_models.costing import CostModel
from cost_models.graph import OpGraph
from cost_models.target_file import load_target
from cost_models.tflite_graph import read_graph
from nas.frontend.kinds import FrontEndSettings, model_of
from nas.frontend.settings import LogMelSettings
from tests.nas.bundle.audio import SETTINGS, SPECTRA

NETWORK = Path(__file__).parents[1] / "nas" / "bundle" / "data" / "tcn.tflite"
# SingleArenaBufferAllocator, GreedyMemoryPlanner and MicroAllocator, which both use.
OBJECTS = 36 + 44 + 36
CORES = [("cmsis_nn", "cortex-m4"), ("reference", "cortex-m0plus"), ("esp_nn", "xtensa-lx7")]
FRONT_ENDS: dict[str, FrontEndSettings] = {
    "log_mel": SETTINGS,
    "wide": LogMelSettings(sample_rate=16000, window_ms=32, hop_ms=20, bands=40),
    "spectrum": SPECTRA,
}


def front_end(settings: FrontEndSettings) -> OpGraph:
    return read_graph(model_of(settings).tflite)


@pytest.fixture(scope="module")
def network() -> OpGraph:
    return read_graph(NETWORK.read_bytes())


@pytest.mark.parametrize("settings", FRONT_ENDS.values(), ids=FRONT_ENDS.keys())
@pytest.mark.parametrize(("kernels", "core"), CORES)
def test_tails_stack_up_the_larger_head_stays_and_the_allocator_is_there_once(
    network: OpGraph, settings: FrontEndSettings, kernels: str, core: str
) -> None:
    own = arena(network, kernels=kernels, core=core)
    partner = ArenaPartner(front_end(settings), kernels=kernels, core=core)
    both = partner.after(own)
    assert both.planned_bytes == max(own.planned_bytes, partner.alone.planned_bytes)
    stacked = own.persistent_bytes + partner.alone.persistent_bytes - OBJECTS
    assert abs(both.persistent_bytes - stacked) < 16, "but for alignment"
    assert both.used_bytes == both.planned_bytes + both.persistent_bytes
    assert both.used_bytes <= both.min_bytes
    assert both.min_bytes % 16 == 0
    saved = min(own.planned_bytes, partner.alone.planned_bytes) + OBJECTS - 32
    assert both.min_bytes <= own.min_bytes + partner.alone.min_bytes - saved, "never more than two arenas"


@pytest.mark.parametrize("settings", FRONT_ENDS.values(), ids=FRONT_ENDS.keys())
def test_above_any_tail_it_is_what_the_allocator_would_do_from_there(settings: FrontEndSettings) -> None:
    graph, build = front_end(settings), find_build("cmsis_nn", "cortex-m4")
    partner = ArenaPartner(graph, kernels="cmsis_nn", core="cortex-m4")
    for tail in range(1000, 1064, 4):
        first = Arena(used_bytes=tail, min_bytes=16, planned_bytes=0, persistent_bytes=tail)
        assert partner.after(first) == fill(graph, build, demands(graph, build), own=tail)
        high = replace(first, planned_bytes=50_000, min_bytes=60_000)
        assert partner.after(high).min_bytes == 60_000, "the first one's own set-up takes most"


def test_a_network_costs_what_it_adds_in_memory_and_nothing_else_changes(network: OpGraph) -> None:
    target, beside = load_target("nrf52840"), front_end(FRONT_ENDS["log_mel"])
    alone, added = CostModel(target).estimate(network), CostModel(target, beside=beside).estimate(network)
    own = arena(network, kernels=target.kernels, core=target.core)
    partner = ArenaPartner(beside, kernels=target.kernels, core=target.core)
    both = partner.after(own)
    assert added.sram_bytes + partner.alone.min_bytes == both.min_bytes
    assert added.arena_used_bytes + partner.alone.used_bytes == both.used_bytes
    # A Cortex-M4 under QEMU: 6,096 B work, of which TFLM reports 6,084 B as used, and 6,080 B do not.
    assert (both.min_bytes, both.used_bytes) == (6096, 6084)
    assert replace(added, sram_bytes=alone.sram_bytes, arena_used_bytes=alone.arena_used_bytes) == alone
