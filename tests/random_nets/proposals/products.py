"""Products and broadcasts: InnerProduct, Embed, Bias, Scale, Eltwise."""

from __future__ import annotations

from tests.random_nets.dice import Dice
from tests.random_nets.proposals.sketch import Proposal, Sketch, of_type


@of_type("InnerProduct")
def inner_product(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    fields = d.some("bias_term: false", "transpose: true", f"axis: {d.axis(len(shape))}", percent=30)
    return Proposal([name], f"inner_product_param {{ num_output: {d.number(1, 5)} {fields} }}")


@of_type("Embed")
def embed(d: Dice, s: Sketch, kind: str) -> Proposal:
    rows = d.number(1, 6)
    index = s.ask(f"labels {rows}", d.shape(d.of([1, 2, 3]), 4))
    fields = f"num_output: {d.number(1, 4)} input_dim: {rows} {d.some('bias_term: false')}"
    return Proposal([index], f"embed_param {{ {fields} }}")


@of_type("Bias", "Scale")
def broadcast(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    axis = d.axis(len(shape))
    first = axis % max(len(shape), 1)
    count = d.of([1, 0, -1, *range(len(shape) - first + 1)])
    fields = [f"axis: {axis}" if d.chance(80) else ""]
    bottoms = [name]
    if d.chance(40):
        end = len(shape) if count < 0 else first + count
        bottoms.append(s.same(shape[first:end]))
    else:
        fields.append(f"num_axes: {count}" if d.chance(60) else "")
    return Proposal(bottoms, f"{kind.lower()}_param {{ {' '.join(fields)} }}")


@of_type("Eltwise")
def eltwise(d: Dice, s: Sketch, kind: str) -> Proposal:
    name, shape = s.take()
    bottoms = [name] + [s.same(shape) for _ in range(d.number(1, 2))]
    operation = d.of(["", "operation: SUM", "operation: PROD", "operation: MAX"])
    fields = " ".join(f"coeff: {d.real()}" for _ in bottoms) if "PROD" not in operation and d.chance(40) else ""
    if "PROD" in operation and d.chance(20):
        fields = "stable_prod_grad: false"
    return Proposal(bottoms, f"eltwise_param {{ {operation} {fields} }}")
