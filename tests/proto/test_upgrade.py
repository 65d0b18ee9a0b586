"""Old nets and solvers become what Caffe's own tools make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import Document, parse_text, pb, print_text, read_net, upgrade_net, upgrade_solver

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files" / "upgrade"


def upgraded(text: str, solver: bool = False) -> Document:
    kind = "SolverParameter" if solver else "NetParameter"
    return (upgrade_solver if solver else upgrade_net)(parse_text(text, kind, source="f"))


def net(text: str) -> str:
    return print_text(upgraded(text).message)


def same(text: str, expected: str) -> None:
    assert net(text) == print_text(parse_text(expected, "NetParameter").message)


def refused(text: str, match: str) -> None:
    with pytest.raises(PrototxtError, match=match):
        upgraded(text)


@pytest.mark.parametrize("name", ["v0", "v1", "input", "solver_adagrad", "solver_nesterov"])
def test_golden(name: str) -> None:
    expected = (GOLDEN / f"{name}.upgraded.prototxt").read_text()
    assert print_text(upgraded((GOLDEN / f"{name}.prototxt").read_text(), "solver" in name).message) == expected


def test_corpus(shared: Path) -> None:
    files = sorted((shared / "corpus" / "upgraded").iterdir())
    assert files
    for file in files:
        assert print_text(read_net(shared / "corpus" / "prototxt" / file.name).message) == file.read_text(), file.name


@pytest.mark.parametrize("name", ["v0", "v1", "input"])
def test_binary_files_go_the_same_way(name: str) -> None:
    message = parse_text((GOLDEN / f"{name}.prototxt").read_text(), "NetParameter").message
    again = upgrade_net(pb.NetParameter.FromString(message.SerializeToString()))
    assert print_text(again) == (GOLDEN / f"{name}.upgraded.prototxt").read_text()


def test_current_nets_stay_as_they_are() -> None:
    text = (GOLDEN / "v1.upgraded.prototxt").read_text()
    document = upgraded(text)
    assert print_text(document.message) == text
    assert document.notes == []


class TestPadding:
    def test_folds_into_every_reader(self) -> None:
        same(
            'layers { layer { name: "p" type: "padding" pad: 3 } bottom: "x" top: "y" }\n'
            'layers { layer { name: "c" type: "conv" } bottom: "y" top: "a" }\n'
            'layers { layer { name: "m" type: "pool" } bottom: "y" top: "b" }\n',
            'layer { name: "c" type: "Convolution" bottom: "x" top: "a" convolution_param { pad: 3 } }\n'
            'layer { name: "m" type: "Pooling" bottom: "x" top: "b" pooling_param { pad: 3 } }',
        )

    def test_refuses_another_reader(self) -> None:
        refused(
            'layers { layer { name: "p" type: "padding" pad: 3 } bottom: "x" top: "y" }\n'
            'layers { layer { name: "r" type: "relu" } bottom: "y" top: "y" }',
            r"f:2:1: layer 'r' of type 'relu' reads padding layer 'p'; only conv and pool",
        )

    def test_refuses_two_bottoms(self) -> None:
        refused(
            'layers { layer { name: "p" type: "padding" pad: 3 } bottom: "x" top: "y" }\n'
            'layers { layer { name: "c" type: "conv" } bottom: "y" bottom: "x" top: "a" }',
            r"f:2:1: layer 'c' and padding layer 'p' must have one bottom each(.*) they have 2, 1 and 1",
        )


V0_TYPES = {
    "conv": "Convolution",
    "innerproduct": "InnerProduct",
    "pool": "Pooling",
    "dropout": "Dropout",
    "lrn": "LRN",
    "concat": "Concat",
    "infogain_loss": "InfogainLoss",
    "data": "Data",
    "hdf5_data": "HDF5Data",
    "hdf5_output": "HDF5Output",
    "images": "ImageData",
    "window_data": "WindowData",
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "tanh": "TanH",
    "bnll": "BNLL",
    "softmax": "Softmax",
    "softmax_loss": "SoftmaxWithLoss",
    "euclidean_loss": "EuclideanLoss",
    "multinomial_logistic_loss": "MultinomialLogisticLoss",
    "accuracy": "Accuracy",
    "flatten": "Flatten",
    "im2col": "Im2col",
    "split": "Split",
}
V0_FIELDS = """
conv | num_output: 2 biasterm: false | convolution_param { num_output: 2 bias_term: false }
conv | weight_filler { std: 2 } | convolution_param { weight_filler { std: 2 } }
conv | bias_filler { value: 1 } | convolution_param { bias_filler { value: 1 } }
conv | pad: 1 kernelsize: 3 group: 2 stride: 4 | convolution_param { pad: 1 kernel_size: 3 group: 2 stride: 4 }
innerproduct | num_output: 2 biasterm: true | inner_product_param { num_output: 2 bias_term: true }
innerproduct | weight_filler { std: 2 } | inner_product_param { weight_filler { std: 2 } }
innerproduct | bias_filler { value: 1 } | inner_product_param { bias_filler { value: 1 } }
pool | pool: STOCHASTIC pad: 1 | pooling_param { pool: STOCHASTIC pad: 1 }
pool | kernelsize: 3 stride: 2 | pooling_param { kernel_size: 3 stride: 2 }
dropout | dropout_ratio: 0.25 | dropout_param { dropout_ratio: 0.25 }
lrn | local_size: 3 alpha: 2 beta: 3 k: 4 | lrn_param { local_size: 3 alpha: 2 beta: 3 k: 4 }
concat | concat_dim: 0 | concat_param { concat_dim: 0 }
infogain_loss | source: "s" | infogain_loss_param { source: "s" }
data | source: "s" batchsize: 3 rand_skip: 4 | data_param { source: "s" batch_size: 3 rand_skip: 4 }
data | scale: 2 meanfile: "m" | transform_param { scale: 2 mean_file: "m" }
data | cropsize: 5 mirror: true | transform_param { crop_size: 5 mirror: true }
hdf5_data | source: "s" batchsize: 3 | hdf5_data_param { source: "s" batch_size: 3 }
hdf5_output | hdf5_output_param { file_name: "f" } | hdf5_output_param { file_name: "f" }
images | source: "s" batchsize: 3 rand_skip: 4 | image_data_param { source: "s" batch_size: 3 rand_skip: 4 }
images | shuffle_images: true new_height: 5 | image_data_param { shuffle: true new_height: 5 }
images | new_width: 6 mirror: true | image_data_param { new_width: 6 } transform_param { mirror: true }
window_data | source: "s" batchsize: 3 | window_data_param { source: "s" batch_size: 3 }
window_data | scale: 2 | transform_param { scale: 2 }
window_data | det_fg_threshold: 1 det_bg_threshold: 2 | window_data_param { fg_threshold: 1 bg_threshold: 2 }
window_data | det_fg_fraction: 3 det_context_pad: 4 | window_data_param { fg_fraction: 3 context_pad: 4 }
window_data | det_crop_mode: "square" | window_data_param { crop_mode: "square" }
"""


@pytest.mark.parametrize("line", V0_FIELDS.strip().splitlines())
def test_v0_fields(line: str) -> None:
    kind, old, new = line.split(" | ")
    same(f'layers {{ layer {{ type: "{kind}" {old} }} }}', f'layer {{ type: "{V0_TYPES[kind]}" {new} }}')


@pytest.mark.parametrize(("kind", "new"), V0_TYPES.items())
def test_v0_types(kind: str, new: str) -> None:
    same(f'layers {{ layer {{ name: "l" type: "{kind}" }} }}', f'layer {{ name: "l" type: "{new}" }}')


def test_v0_blobs_and_multipliers() -> None:
    same(
        'layers { bottom: "a" top: "b" layer { type: "conv" blobs { data: [1, 2] } blobs { num: 3 } '
        "blobs_lr: 2 blobs_lr: 3 weight_decay: 4 } }",
        'layer { bottom: "a" top: "b" type: "Convolution" param { lr_mult: 2 decay_mult: 4 } param { lr_mult: 3 } '
        "blobs { data: [1, 2] } blobs { num: 3 } }",
    )


def test_v0_fields_without_meaning_are_told() -> None:
    document = upgraded('layers { layer { name: "l" type: "relu" num_output: 3 new_num: 4 } }')
    assert document.notes[0] == "f:1:41: 'num_output' means nothing to a 'relu' layer: ignored"
    assert document.notes[1] == "f:1:55: 'new_num' means nothing to a 'relu' layer: ignored"
    assert document.notes[2] == "f: 1 layers upgraded from the V0 to the V1 format"


def test_types_of_forks_stay_as_they_are() -> None:
    document = upgraded('layers { type: NORMALIZE name: "n" } layers { layer { type: "locally_connected" } }')
    assert [layer.type for layer in document.message.layer] == ["NORMALIZE", "locally_connected"]


def test_every_v1_type_has_a_name() -> None:
    kinds = pb.V1LayerParameter.DESCRIPTOR.enum_types_by_name["LayerType"].values_by_name
    message = pb.NetParameter()
    for kind in kinds.values():
        message.layers.add(type=kind.number)
    names = [layer.type for layer in upgrade_net(message).layer]
    assert len(set(names)) == len(kinds)
    special = {"softmax_loss": "softmaxwithloss", "none": ""}
    for kind, name in zip(kinds, names, strict=True):
        assert name.lower() == special.get(kind.lower(), kind.lower().replace("_", ""))


def test_v1_params() -> None:
    same(
        'layers { param: "w" blob_share_mode: STRICT blob_share_mode: PERMISSIVE blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 '
        "weight_decay: 0 }",
        'layer { type: "" param { name: "w" share_mode: STRICT lr_mult: 1 decay_mult: 0 } '
        "param { share_mode: PERMISSIVE lr_mult: 2 } param { lr_mult: 3 } }",
    )


def test_v1_keeps_every_block() -> None:
    for field in pb.V1LayerParameter.DESCRIPTOR.fields:
        if field.message_type is not None and field.name not in ("layer", "clip_param"):
            same(f"layers {{ {field.name} {{}} }}", f'layer {{ type: "" {field.name} {{}} }}')


@pytest.mark.parametrize(
    ("kind", "block"),
    [("DATA", "data_param"), ("IMAGE_DATA", "image_data_param"), ("WINDOW_DATA", "window_data_param")],
)
def test_transform_fields_of_v1(kind: str, block: str) -> None:
    name = {"DATA": "Data", "IMAGE_DATA": "ImageData", "WINDOW_DATA": "WindowData"}[kind]
    same(
        f'layers {{ type: {kind} {block} {{ scale: 2 mean_file: "m" crop_size: 3 mirror: true batch_size: 4 }} }}',
        f'layer {{ type: "{name}" {block} {{ batch_size: 4 }} '
        'transform_param { scale: 2 mean_file: "m" crop_size: 3 mirror: true } }',
    )


def test_transform_fields_of_current_layers_are_ignored_with_a_note() -> None:
    text = 'layer { type: "Data" data_param { scale: 2 mirror: true } }'
    same(text, text)
    assert upgraded(text).notes == [
        "f:1:35: Caffe ignores 'scale' in data_param of a 'layer'; move it to transform_param",
        "f:1:44: Caffe ignores 'mirror' in data_param of a 'layer'; move it to transform_param",
    ]
    assert upgraded('layer { type: "WindowData" window_data_param { scale: 2 } }').notes == []


class TestMixture:
    def test_layer_and_layers(self) -> None:
        refused(
            'layer { name: "a" }\nlayers { name: "b" }',
            r"f:1:1: the net has both 'layer' \(here\) and 'layers' \(f:2:1\), two formats in one file",
        )


class TestInputs:
    def test_dims(self) -> None:
        same(
            'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8] layer { name: "l" }',
            'layer { name: "input" type: "Input" top: "a" top: "b" input_param { shape { dim: [1, 2, 3, 4] } '
            'shape { dim: [5, 6, 7, 8] } } } layer { name: "l" }',
        )

    def test_of_a_v1_net(self) -> None:
        same(
            'input: "a" input_dim: [1, 2, 3, 4] layers { type: RELU bottom: "a" top: "b" }',
            'layer { name: "input" type: "Input" top: "a" input_param { shape { dim: [1, 2, 3, 4] } } } '
            'layer { type: "ReLU" bottom: "a" top: "b" }',
        )

    def test_too_few_dims(self) -> None:
        refused('input: "a"\ninput_dim: [1, 2]', r"^f:2:13: the net has 1 inputs and 2 input_dim, and needs 4 ")

    def test_too_few_shapes(self) -> None:
        refused(
            'input: "a" input: "b"\ninput_shape { dim: 1 }',
            r"f:2:1: the net has 2 inputs and 1 input_shape, and needs 2",
        )

    def test_both_forms(self) -> None:
        refused(
            'input: "a" input_dim: [1, 2, 3, 4] input_shape { dim: 1 }',
            r"both input_dim (.*) and input_shape \(f:1:36\)",
        )

    def test_without_shape(self) -> None:
        document = upgraded('input: "a" layer { name: "l" }')
        assert print_text(document.message) == 'layer {\n  name: "l"\n}\n'
        assert document.notes == ["f:1:1: inputs without input_shape or input_dim have no size: ignored, as by Caffe"]

    def test_more_shapes_than_inputs(self) -> None:
        document = upgraded('input: "a" input_shape { dim: 1 } input_shape { dim: 2 }')
        assert list(document.message.layer[0].input_param.shape) == [pb.BlobShape(dim=[1])]
        assert "the rest is ignored" in document.notes[0]


def test_batch_norm_of_three_params_is_frozen() -> None:
    three = 'layer { type: "BatchNorm" param { lr_mult: 1 } param {} param { name: "n" lr_mult: 0 } }'
    same(
        three,
        'layer { type: "BatchNorm" param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 } '
        'param { name: "n" lr_mult: 0 decay_mult: 0 } }',
    )
    for text in ('layer { type: "BatchNorm" param { lr_mult: 1 } }', three.replace("BatchNorm", "Scale")):
        same(text, text)


class TestSolver:
    @pytest.mark.parametrize(
        ("old", "new"),
        [("SGD", "SGD"), ("NESTEROV", "Nesterov"), ("ADAGRAD", "AdaGrad"), ("RMSPROP", "RMSProp"),
         ("ADADELTA", "AdaDelta"), ("ADAM", "Adam"), ("2", "AdaGrad")],
    )  # fmt: skip
    def test_types(self, old: str, new: str) -> None:
        document = upgraded(f"solver_type: {old}", solver=True)
        assert print_text(document.message) == f'type: "{new}"\n'
        assert document.where("type") == "f:1:1"

    def test_both_types(self) -> None:
        with pytest.raises(
            PrototxtError, match=r'f:2:1: the solver has both solver_type: ADAM .* type: "SGD" \(f:1:1\)'
        ):
            upgraded('type: "SGD"\nsolver_type: ADAM', solver=True)

    def test_nets_inside(self) -> None:
        old = '{ layers { type: RELU name: "r" } }'
        new = 'layer {\n    type: "ReLU"\n    name: "r"\n  }'
        document = upgraded(
            f"net_param {old}\ntrain_net_param {old}\ntest_net_param {old}\ntest_net_param {old}", solver=True
        )
        solver = document.message
        for inner in (solver.net_param, solver.train_net_param, *solver.test_net_param):
            assert inner == parse_text(new, "NetParameter").message
        assert document.where("test_net_param", 1, "layer", 0, "name") == "f:4:38"
        assert document.sub("test_net_param", 1).where("layer", 0, "name") == "f:4:38"
        assert len(document.notes) == 4
