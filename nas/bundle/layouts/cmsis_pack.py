"""CMSIS-Pack: a .pdsc whose components are the model's runner and its self-test."""

from __future__ import annotations

from collections.abc import Mapping

from nas.bundle.content import BundleContent
from nas.bundle.layout import File, Layout
from nas.bundle.sources import build_file, layout, self_test_main


class CmsisPackLayout(Layout):
    """The folder that packchk and `gen_pack` take; TFLM is the tensorflow-lite-micro pack."""

    name = "cmsis-pack"
    title = "CMSIS-Pack"
    cores = ("cortex-",)

    def files(self, content: BundleContent) -> Mapping[str, File]:
        name = content.model.name
        return {
            **layout(content, sources="src", headers="include"),
            f"mcu_nas.{name}.pdsc": build_file("pack.pdsc.j2", content),
            f"test/{name}_self_test_main.cc": self_test_main(content),
        }


LAYOUT = CmsisPackLayout()
