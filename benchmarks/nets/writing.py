"""A small writer of prototxt text: one method a layer, which returns the name of its top."""

from __future__ import annotations


class Writer:
    """Collects layers; ``text`` is the prototxt. The first layers are the inputs ``data`` and ``label``."""

    def __init__(self, name: str, image: tuple[int, ...], batch: int) -> None:
        self.lines = [f'name: "{name}"']
        self.layer("data", "Input", [], ["data"], f"input_param {{ shape {{ {_dims((batch, *image))} }} }}")
        self.layer("label", "Input", [], ["label"], f"input_param {{ shape {{ dim: {batch} }} }}", "TRAIN")

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def layer(
        self, name: str, kind: str, bottoms: list[str], tops: list[str], fields: str = "", phase: str = ""
    ) -> str:
        parts = [f'name: "{name}"', f'type: "{kind}"']
        parts += [f'bottom: "{bottom}"' for bottom in bottoms] + [f'top: "{top}"' for top in tops]
        parts += [f"include {{ phase: {phase} }}"] * bool(phase) + [fields] * bool(fields)
        self.lines += ["layer {", *(f"  {part}" for part in parts), "}"]
        return tops[0]

    def conv(self, name: str, x: str, filters: int, kernel: int, rest: str = "", phase: str = "") -> str:
        filler = 'weight_filler { type: "msra" }' + ("" if "bias_term" in rest else " bias_filler { value: 0.1 }")
        fields = f"convolution_param {{ num_output: {filters} kernel_size: {kernel} {rest} {filler} }}"
        return self.layer(name, "Convolution", [x], [name], fields, phase)

    def inner(self, name: str, x: str, outputs: int, phase: str = "") -> str:
        fields = f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "gaussian" std: 0.01 }} }}'
        return self.layer(name, "InnerProduct", [x], [name], fields, phase)

    def relu(self, x: str, phase: str = "") -> str:
        return self.layer(f"{x}_relu", "ReLU", [x], [x], phase=phase)

    def dropout(self, x: str, ratio: float = 0.5, phase: str = "") -> str:
        return self.layer(f"{x}_drop", "Dropout", [x], [x], f"dropout_param {{ dropout_ratio: {ratio} }}", phase)

    def pool(self, name: str, x: str, fields: str, phase: str = "") -> str:
        return self.layer(name, "Pooling", [x], [name], f"pooling_param {{ {fields} }}", phase)

    def lrn(self, name: str, x: str) -> str:
        return self.layer(name, "LRN", [x], [name], "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }")

    def norm(self, x: str) -> str:
        """BatchNorm and Scale, in place."""
        self.layer(f"{x}_bn", "BatchNorm", [x], [x])
        return self.layer(f"{x}_scale", "Scale", [x], [x], "scale_param { bias_term: true }")

    def loss(self, name: str, x: str, weight: float = 1) -> str:
        return self.layer(name, "SoftmaxWithLoss", [x, "label"], [name], f"loss_weight: {weight}", "TRAIN")

    def classifier(self, x: str) -> str:
        """The loss in TRAIN, the probabilities in TEST."""
        self.loss("loss", x)
        self.layer("prob", "Softmax", [x], ["prob"], phase="TEST")
        return self.text


def _dims(shape: tuple[int, ...]) -> str:
    return " ".join(f"dim: {size}" for size in shape)
