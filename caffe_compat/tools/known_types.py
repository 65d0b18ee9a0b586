"""Layer types by where they come from: Caffe itself, and the forks that are known. Names and reasons, no code."""

from __future__ import annotations

NOT_BUILT = "not built yet"

BVLC = (
    "AbsVal", "Accuracy", "ArgMax", "BNLL", "BatchNorm", "BatchReindex", "Bias", "Clip", "Concat", "ContrastiveLoss",
    "Convolution", "Crop", "Data", "Deconvolution", "Dropout", "DummyData", "ELU", "Eltwise", "Embed", "EuclideanLoss",
    "Exp", "Filter", "Flatten", "HDF5Data", "HDF5Output", "HingeLoss", "Im2col", "ImageData", "InfogainLoss",
    "InnerProduct", "Input", "LRN", "LSTM", "LSTMUnit", "Log", "MVN", "MemoryData", "MultinomialLogisticLoss", "PReLU",
    "Parameter", "Pooling", "Power", "Python", "RNN", "ReLU", "Reduction", "Reshape", "SPP", "Scale", "Sigmoid",
    "SigmoidCrossEntropyLoss", "Silence", "Slice", "Softmax", "SoftmaxWithLoss", "Split", "Swish", "TanH", "Threshold",
    "Tile", "WindowData",
)  # fmt: skip
"""The types of BVLC Caffe 1.0."""

FORKS: dict[str, tuple[str, ...]] = {
    "weiliu89/caffe (SSD)": (
        "AnnotatedData", "DetectionEvaluate", "DetectionOutput", "MultiBoxLoss", "Normalize", "Permute", "PriorBox",
        "SmoothL1Loss", "VideoData",
    ),
    "rbgirshick/caffe-fast-rcnn": ("ROIPooling",),
    "intel/caffe (R-FCN)": ("BoxAnnotatorOHEM", "PSROIPooling", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM"),
    "hszhao/PSPNet": ("BN", "Interp"),
    "alexgkendall/caffe-segnet": ("DenseImageData", "Upsample"),
    "hujie-frank/SENet": ("Axpy",),
    "yonghenglh6/DepthwiseConvolution": ("DepthwiseConvolution",),
    "farmingyard/ShuffleNet": ("ConvolutionDepthwise", "ShuffleChannel"),
    "wy1iu/LargeMargin_Softmax_Loss": ("LargeMarginInnerProduct",),
    "wy1iu/sphereface": ("MarginInnerProduct",),
    "ydwen/caffe-face": ("CenterLoss",),
    "happynear/caffe-windows": (
        "ChannelScale", "Flip", "GeneralContrastiveLoss", "GeneralTripletLoss", "GlobalLSEMargin", "InnerDistance",
        "Insanity", "LabelSpecificAdd", "TripletLoss",
    ),
    "eric612/MobileNet-YOLO": (
        "AssistedExcitation", "LaneData", "ReLU6", "RegionLoss", "Reorg", "SegmentationEvaluate", "YoloDetectionOutput",
        "YoloSeg", "Yolov3", "Yolov3DetectionOutput",
    ),
    "tianzhi0549/CTPN": ("Lstm", "Reverse", "Transpose"),
    "jolibrain/caffe": ("ContinuationIndicator", "CtcLoss", "LabelsequenceAccuracy"),
    "soeaver/caffe-model": ("ImageSegData", "SeLu", "SeLuDropout", "SegAccuracy"),
    "facebook/C3D": (
        "CONVOLUTION3D", "Convolution3D", "DECONVOLUTION3D", "POOLING3D", "Pooling3D", "VIDEO_SEGMENTATION_DATA",
        "VIDEO_WITH_VOXEL_TRUTH_DATA", "VOXEL_SOFTMAX",
    ),
    "chuckcho/video-caffe": ("NdConvolution", "NdPooling"),
    "torrvision/crfasrnn": ("MULTI_STAGE_MEANFIELD", "MultiStageMeanfield"),
    "ducha-aiki/caffenet-benchmark": (
        "APL", "EltwiseAffine", "GatedMaxAve", "RReLU", "TreepoolKernel1L", "TreepoolMaxAve",
    ),
    "yahoo/CaffeOnSpark": ("CoSData",),
    "wenwei202/caffe": ("Sparsify",),
    "longjon/caffe (FCN)": ("CROP",),
    "early Caffe": ("Padding", "SPATIAL_PYRAMID_POOLING", "locally_connected"),
    "dgschwend/netscope": ("data", "implicit"),
}  # fmt: skip
"""Fork -> the types that it adds. A type of several forks stands at one of them."""

REASONS = {
    "CROP": 'the old (V1) name of a fork; write `layer { type: "Crop" }`, with crop_param',
    "CoSData": "reads data frames of Spark, which are no files; put an Input layer in its place",
    "CONVOLUTION3D": "the old (V1) name of Convolution3D, which is not built yet",
    "DECONVOLUTION3D": "not built yet; Deconvolution takes three spatial axes",
    "Convolution3D": "not built yet; Convolution takes three spatial axes (`kernel_size` three times)",
    "MULTI_STAGE_MEANFIELD": "the old (V1) name of MultiStageMeanfield, which is not built yet",
    "NdConvolution": "not built yet; Convolution takes three spatial axes (`kernel_size` three times)",
    "POOLING3D": "the old (V1) name of Pooling3D, which is not built yet",
    "Padding": "a layer of 2013; a net in that format is upgraded, and its padding goes into the convolution after it",
    "SPATIAL_PYRAMID_POOLING": 'an early name of SPP; write `layer { type: "SPP" }`, with spp_param',
    "VideoData": "reads a camera or a film; decode the frames first and read them with Data",
    "data": "a placeholder of a viewer of nets, without a meaning of its own; put an Input layer in its place",
    "implicit": "a placeholder of a viewer of nets, without a meaning of its own",
}
"""Why a type without a class has none, where there is more to say than NOT_BUILT."""
