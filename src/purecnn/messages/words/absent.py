"""What has no name here: what Keras and PyTorch have beside, why it is missing, and what takes its place.

`OTHERWISE` is there, without a name of its own; `ABSENT` is not, by topic.
"""

from purecnn.messages.words.row import Row

#: What there is, written otherwise.
OTHERWISE = (
    Row("", "Input InputLayer InputSpec", "", "Network finds the shape in the data, or takes input_shape="),
    Row("", "to_categorical", "one_hot", "integer labels are taken as they are"),
    Row(
        "",
        "layers models optimizers losses metrics callbacks",
        "nn optim utils functional",
        "all are in purecnn",
    ),
    Row("", "L1 L2 L1L2 Regularizer", "", "fit(..., l1=1e-5, l2=1e-4)"),
    Row("", "", "ParameterList ParameterDict", "layer.parameters is a dict of arrays"),
    Row("", "", "clip_grad_norm_ clip_grad_norm", "SGD(0.1, clip_norm=1), and so with each optimizer"),
    Row("", "MultiOptimizer OptimizerMap", "", "layer.learning_rate_factor = 0.1"),
    Row("", "", "SWALR update_bn", 'WeightAverage("equal") beside a rate such as Constant(0.01)'),
    Row(
        "",
        "PolynomialDecay InverseTimeDecay",
        "PolynomialLR SequentialLR ChainedScheduler",
        "a schedule is a function: LearningRate(optimizer, lambda progress: 0.1 * (1 - progress) ** 2)",
    ),
    Row("", "CallbackList", "", "fit(..., callbacks=[EarlyStopping(), CSVLog(path)])"),
    Row("", "TerminateOnNaN", "", "fit ends with a DivergedError at the first loss that is not finite"),
    Row(
        "",
        "Metric Mean Sum MeanMetricWrapper",
        "",
        'a metric of your own is a function: fit(..., metrics={"name": function})',
    ),
    Row("", "", "DataParallel DistributedDataParallel", "fit uses all cores, and with ranks=Ranks() MPI"),
)
#: What there is not, by topic.
ABSENT = {
    "layers": (
        Row(
            "",
            "LSTM GRU SimpleRNN RNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells Bidirectional "
            "TimeDistributed ConvLSTM1D ConvLSTM2D ConvLSTM3D",
            "LSTM GRU RNN RNNBase LSTMCell GRUCell RNNCell RNNCellBase",
            "there are no recurrent layers: Convolutional1D looks along a signal",
        ),
        Row(
            "",
            "Attention AdditiveAttention MultiHeadAttention GroupQueryAttention EinsumDense",
            "MultiheadAttention Transformer TransformerEncoder TransformerEncoderLayer TransformerDecoder "
            "TransformerDecoderLayer",
            "there are no transformers",
        ),
        Row(
            "",
            "Embedding ReversibleEmbedding Masking TextVectorization StringLookup IntegerLookup Hashing "
            "HashedCrossing CategoryEncoding Discretization",
            "Embedding EmbeddingBag AdaptiveLogSoftmaxWithLoss LinearCrossEntropyLoss",
            "there are no layers for text and tables",
        ),
        Row(
            "",
            "Conv3D Convolution3D Conv3DTranspose Convolution3DTranspose MaxPooling3D MaxPool3D "
            "AveragePooling3D AvgPool3D GlobalAveragePooling3D GlobalAvgPool3D GlobalMaxPooling3D "
            "GlobalMaxPool3D AdaptiveAveragePooling3D AdaptiveMaxPooling3D SpatialDropout3D UpSampling3D "
            "ZeroPadding3D Cropping3D",
            "Conv3d LazyConv3d ConvTranspose3d LazyConvTranspose3d MaxPool3d AvgPool3d AdaptiveAvgPool3d "
            "AdaptiveMaxPool3d FractionalMaxPool3d LPPool3d MaxUnpool3d BatchNorm3d LazyBatchNorm3d "
            "InstanceNorm3d LazyInstanceNorm3d Dropout3d ZeroPad3d ConstantPad3d ReflectionPad3d "
            "ReplicationPad3d CircularPad3d",
            "layers are those of images and signals, of two axes and one",
        ),
        Row(
            "",
            "Conv1DTranspose Convolution1DTranspose SeparableConv1D SeparableConvolution1D UpSampling1D "
            "Cropping1D AdaptiveAveragePooling1D AdaptiveMaxPooling1D",
            "ConvTranspose1d LazyConvTranspose1d AdaptiveAvgPool1d AdaptiveMaxPool1d ReflectionPad1d "
            "ReplicationPad1d",
            "signals as images of one row, (n, channels, 1, length), have the layer of images",
        ),
        Row(
            "",
            "",
            "LPPool1d LPPool2d FractionalMaxPool2d MaxUnpool1d MaxUnpool2d",
            "take MaxPooling, AveragePooling or UpSampling",
        ),
        Row(
            "",
            "",
            "CircularPad1d CircularPad2d ConstantPad1d ConstantPad2d",
            "take ZeroPadding, ReflectionPadding or ReplicationPadding",
        ),
        Row("", "RMSNormalization", "RMSNorm", "take LayerNormalization"),
        Row("", "", "PixelUnshuffle Fold Unfold", "DepthToSpace has no way back"),
        Row("", "Permute RepeatVector", "", "axes stay where they are"),
        Row(
            "",
            "",
            "CELU GLU Hardshrink Hardtanh LogSigmoid RReLU Softmin Softshrink Tanhshrink Threshold",
            "rare activations: Activation(function, derivative)",
        ),
        Row(
            "",
            "AlphaDropout GaussianDropout",
            "AlphaDropout FeatureAlphaDropout",
            "take Dropout or GaussianNoise",
        ),
        Row("", "", "LocalResponseNorm CrossMapLRN2d", "older than BatchNormalization, which took its place"),
        Row(
            "",
            "SpectralNormalization UnitNormalization MaxNorm MinMaxNorm NonNeg UnitNorm Constraint "
            "OrthogonalRegularizer ActivityRegularization",
            "spectral_norm weight_norm",
            "weights and outputs are not constrained; fit takes l1 and l2",
        ),
        Row(
            "",
            "Subtract Minimum Dot",
            "Bilinear",
            "Branches add, concatenate, multiply, average and take the maximum",
        ),
        Row(
            "",
            "MelSpectrogram STFTSpectrogram",
            "",
            "compute a spectrogram before: it is an image like others",
        ),
        Row("", "MaxNumBoundingBoxes", "", "there is no detection of objects"),
    ),
    "losses": (
        Row("", "CategoricalGeneralizedCrossEntropy", "", "take label_smoothing"),
        Row(
            "",
            "CategoricalHinge SquaredHinge",
            "MultiMarginLoss MultiLabelMarginLoss",
            "take softmax_cross_entropy or hinge",
        ),
        Row(
            "",
            "CosineSimilarity Circle",
            "CosineSimilarity CosineEmbeddingLoss HingeEmbeddingLoss MarginRankingLoss PairwiseDistance "
            "TripletMarginLoss TripletMarginWithDistanceLoss",
            "they compare samples in pairs, and a network here has one input",
        ),
        Row("", "CTC", "CTCLoss", "there are no sequences of labels"),
        Row("", "Tversky", "", "take dice"),
        Row(
            "",
            "Poisson MeanAbsolutePercentageError",
            "PoissonNLLLoss GaussianNLLLoss",
            "write it: fit(..., loss=function, loss_prime=derivative)",
        ),
        Row("", "MeanSquaredLogarithmicError", "", "mse of np.log1p(y) is it"),
    ),
    "metrics": (
        Row(
            "",
            "AUC FBetaScore PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity "
            "SpecificityAtSensitivity",
            "",
            "scikit-learn's functions take what predict returns",
        ),
        Row(
            "",
            "PearsonCorrelation ConcordanceCorrelation",
            "",
            'write it: fit(..., metrics={"name": function})',
        ),
    ),
    "initializers": (
        Row(
            "",
            "Constant constant Ones ones Identity IdentityInitializer identity RandomUniform "
            "random_uniform TruncatedNormal truncated_normal VarianceScaling variance_scaling STFT "
            "STFTInitializer stft Initializer",
            "constant_ ones_ eye_ dirac_ uniform_ trunc_normal_ sparse_ calculate_gain",
            'write into the array: layer.parameters["weights"][...] = values',
        ),
    ),
    "training": (
        Row(
            "",
            "Nadam Adamax Adadelta Adafactor Ftrl Lamb Lion Muon ScheduleFreeAdamW",
            "NAdam RAdam Adamax Adadelta Adafactor Muon Rprop",
            "use Adam or AdamW",
        ),
        Row("", "", "LBFGS", "use Adam: a step sees one batch, and no step is taken back"),
        Row("", "", "SparseAdam", "no gradient is sparse here"),
        Row("", "LossScaleOptimizer", "GradScaler autocast", "numbers have 32 bits or 64, never 16"),
        Row("", "", "CyclicLR", "take CosineRestarts or OneCycle"),
        Row("", "RemoteMonitor", "", "fit sends nothing anywhere; TensorBoard and CSVLog write files"),
    ),
    "augmentation": (
        Row(
            "",
            "AugMix RandAugment",
            "AugMix RandAugment AutoAugment TrivialAugmentWide RandomApply RandomChoice RandomOrder",
            "there are no policies: Augmentation has one set of strengths",
        ),
        Row("", "", "RandomVerticalFlip", "Augmentation mirrors left to right alone"),
        Row(
            "",
            "RandomPerspective RandomElasticTransform",
            "RandomPerspective ElasticTransform",
            "Augmentation moves pixels by affine maps alone",
        ),
        Row(
            "",
            "RandomGaussianBlur RandomGrayscale RandomInvert RandomPosterization RandomSharpness "
            "Solarization AutoContrast Equalization ContrastLimitedAdaptiveHistogramEqualization",
            "GaussianBlur RandomGrayscale RandomInvert RandomPosterize RandomSolarize "
            "RandomAdjustSharpness RandomAutocontrast RandomEqualize RandomPhotometricDistort "
            "RandomChannelPermutation JPEG Lambda",
            "write a Dataset of your own, whose batch(rows) changes the images",
        ),
        Row("", "", "FiveCrop TenCrop", "predict each crop, and take the mean"),
        Row("", "", "Pad", "take ZeroPadding, a layer"),
        Row(
            "",
            "",
            "RandomIoUCrop RandomZoomOut SanitizeBoundingBoxes ClampBoundingBoxes ConvertBoundingBoxFormat",
            "there is no detection of objects",
        ),
    ),
}
