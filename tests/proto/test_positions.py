"""Document.where names file:line:column of every message and field, also after the upgrades."""

from __future__ import annotations

from caffe_compat.proto import Document, parse_text, pb, read_net, upgrade_net

NET = """name: "n"
layer {
  name: "a"  bottom: "x"
  bottom: "y" }
layer {
  name: "conv"
  convolution_param {
    num_output: 3
    kernel_size: [5, 7]
    weight_filler { std: 1 }
  }
}
"""


def test_current_net() -> None:
    where = parse_text(NET, "NetParameter", source="net.prototxt").where
    assert where("name") == "net.prototxt:1:1"
    assert where("layer", 1) == "net.prototxt:5:1"
    assert where("layer", 0, "bottom", 1) == "net.prototxt:4:3"
    assert where("layer", 0, "bottom") == "net.prototxt:3:14"
    assert where("layer", 1, "convolution_param") == "net.prototxt:7:3"
    assert where("layer", 1, "convolution_param", "num_output") == "net.prototxt:8:5"
    assert where("layer", 1, "convolution_param", "kernel_size", 1) == "net.prototxt:9:22"
    assert where("layer", 1, "convolution_param", "weight_filler", "std") == "net.prototxt:10:21"


def test_falls_back_to_the_nearest_known_parent() -> None:
    where = parse_text(NET, "NetParameter", source="net.prototxt").where
    assert where("layer", 1, "convolution_param", "pad", 0) == "net.prototxt:7:3"
    assert where("layer", 1, "relu_param", "negative_slope") == "net.prototxt:5:1"
    assert where("layer", 7) == "net.prototxt"
    assert where("layer", -1) == "net.prototxt"
    assert where() == "net.prototxt"
    assert Document(pb.NetParameter(), "weights.caffemodel").where("layer", 0) == "weights.caffemodel"


def test_after_the_v1_upgrade() -> None:
    text = (
        'layers {\n name: "c"\n type: CONVOLUTION\n blobs_lr: 1\n blobs_lr: 2\n weight_decay: 0\n'
        " convolution_param {\n num_output: 3 } }\nlayers { type: DATA data_param {\n scale: 2 } }\n"
    )
    where = read_net(text).where
    assert where("layer", 0) == "<text>:1:1"
    assert where("layer", 0, "type") == "<text>:3:2"
    assert where("layer", 0, "param", 0, "decay_mult") == "<text>:6:2"
    assert where("layer", 0, "param", 1) == "<text>:5:2"
    assert where("layer", 0, "param", 1, "lr_mult") == "<text>:5:2"
    assert where("layer", 0, "convolution_param", "num_output") == "<text>:8:2"
    assert where("layer", 1, "transform_param", "scale") == "<text>:10:2"


def test_after_the_v0_upgrade() -> None:
    text = (
        'layers {\n layer { name: "p" type: "padding"\n pad: 2 } bottom: "x" top: "y" }\n'
        'layers {\n layer { name: "c"\n type: "conv"\n kernelsize: 3\n meanfile: "m"\n blobs_lr: 1 }\n bottom: "y" }\n'
    )
    where = read_net(text).where
    assert where("layer", 0) == "<text>:4:1"
    assert where("layer", 0, "name") == "<text>:5:10"
    assert where("layer", 0, "type") == "<text>:6:2"
    assert where("layer", 0, "convolution_param", "pad") == "<text>:3:2"
    assert where("layer", 0, "convolution_param", "kernel_size", 0) == "<text>:7:2"
    assert where("layer", 0, "transform_param", "mean_file") == "<text>:8:2"
    assert where("layer", 0, "param", 0, "lr_mult") == "<text>:9:2"
    assert where("layer", 0, "bottom", 0) == "<text>:10:2"


def test_after_the_input_upgrade() -> None:
    dims = read_net('name: "n"\ninput: "a"\ninput_dim: 1\ninput_dim: 2\ninput_dim: 3\ninput_dim: 4\nlayer {}').where
    assert dims("layer", 0) == dims("layer", 0, "top", 0) == "<text>:2:1"
    assert dims("layer", 0, "input_param", "shape", 0, "dim", 2) == "<text>:5:1"
    assert dims("layer", 1) == "<text>:7:1"
    shapes = read_net('input: "a"\ninput_shape {\n dim: 4 }').where
    assert shapes("layer", 0, "input_param", "shape", 0, "dim", 0) == "<text>:3:2"


def test_a_message_made_by_a_program_can_be_upgraded() -> None:
    document = Document(pb.NetParameter(input=["a"], input_dim=[1, 2, 3, 4]), "made")
    document.message.layers.add(name="r", type=pb.enum_value("V1LayerParameter.LayerType", "RELU"), blobs_lr=[1])
    upgrade_net(document)
    assert [layer.type for layer in document.message.layer] == ["Input", "ReLU"]
    assert document.where("layer", 1, "param", 0) == "made"
