"""Vocabulary: what Keras, PyTorch and scikit-learn call a thing, and what it is called here.

A table of near names: what Keras, PyTorch and scikit-learn call a thing, and what it is called here.

It answers an import, an argument, an attribute or an option that has another word here, and makes the tables
of the guide for whoever comes from those libraries.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One thing by its names.

    Parameters
    ----------
    here : str
        Its name in this package; empty where it has none.
    keras, torch : str
        Its names there, with spaces between; the first is the usual one. scikit-learn's stand among Keras's.
    note : str
        What to write, or what differs: the end of a sentence.
    """

    here: str
    keras: str = ""
    torch: str = ""
    note: str = ""

    @property
    def elsewhere(self) -> list[str]:
        """All names that are not the one here."""
        return [name for name in f"{self.keras} {self.torch}".split() if name != self.here]


#: Layers and the network.
LAYERS = (
    Row(
        "Convolutional", "Conv2D Convolution2D", "Conv2d LazyConv2d", "Convolutional(kernel_size=3, depth=32)"
    ),
    Row("DepthwiseConvolutional", "DepthwiseConv2D", "", "DepthwiseConvolutional(kernel_size=3)"),
    Row(
        "SeparableConvolutional",
        "SeparableConv2D SeparableConvolution2D",
        "",
        "SeparableConvolutional(kernel_size=3, depth=32)",
    ),
    Row(
        "TransposedConvolutional",
        "Conv2DTranspose Convolution2DTranspose",
        "ConvTranspose2d LazyConvTranspose2d",
        "TransposedConvolutional(kernel_size=4, depth=32, stride=2, padding=1)",
    ),
    Row("Dense", "Dense", "Linear LazyLinear", "Dense(10), the number of outputs"),
    Row("MaxPooling", "MaxPooling2D MaxPool2D", "MaxPool2d", "MaxPooling(2)"),
    Row("AveragePooling", "AveragePooling2D AvgPool2D", "AvgPool2d", "AveragePooling(2)"),
    Row(
        "GlobalAveragePooling",
        "GlobalAveragePooling2D GlobalAvgPool2D",
        "",
        "it gives vectors",
    ),
    Row("GlobalMaxPooling", "GlobalMaxPooling2D GlobalMaxPool2D", "", "it gives vectors"),
    Row(
        "AdaptiveAveragePooling",
        "AdaptiveAveragePooling2D",
        "AdaptiveAvgPool2d",
        "AdaptiveAveragePooling(7); GlobalAveragePooling is AdaptiveAvgPool2d(1) with a Flatten behind it",
    ),
    Row("AdaptiveMaxPooling", "AdaptiveMaxPooling2D", "AdaptiveMaxPool2d", "AdaptiveMaxPooling(7)"),
    Row(
        "BatchNormalization",
        "BatchNormalization",
        "BatchNorm2d BatchNorm1d",
        "its momentum is the share of the new, as PyTorch's: 0.1 where Keras says 0.9",
    ),
    Row(
        "GroupNormalization",
        "GroupNormalization",
        "GroupNorm InstanceNorm2d InstanceNorm1d",
        "GroupNormalization(8), with as many groups as channels for instance normalization",
    ),
    Row(
        "LayerNormalization",
        "LayerNormalization",
        "LayerNorm",
        'LayerNormalization() over the channels, LayerNormalization("sample") over all of a sample',
    ),
    Row("Dropout", "Dropout", "Dropout"),
    Row("SpatialDropout", "SpatialDropout2D SpatialDropout1D", "Dropout2d Dropout1d"),
    Row(
        "StochasticDepth",
        "DropPath",
        "StochasticDepth DropPath stochastic_depth",
        "the last of a residual's layers: Residual([*layers, StochasticDepth(0.2)])",
    ),
    Row("GaussianNoise", "GaussianNoise", ""),
    Row(
        "Convolutional1D", "Conv1D Convolution1D", "Conv1d LazyConv1d", "channels first; kernels as PyTorch's"
    ),
    Row("DepthwiseConvolutional1D", "DepthwiseConv1D", "", "DepthwiseConvolutional1D(kernel_size=3)"),
    Row("MaxPooling1D", "MaxPooling1D MaxPool1D", "MaxPool1d", "MaxPooling1D(2)"),
    Row("AveragePooling1D", "AveragePooling1D AvgPool1D", "AvgPool1d", "AveragePooling1D(2)"),
    Row(
        "GlobalAveragePooling1D",
        "GlobalAveragePooling1D GlobalAvgPool1D",
        "",
        "it gives vectors; PyTorch's AdaptiveAvgPool1d(1) with a Flatten behind it",
    ),
    Row("GlobalMaxPooling1D", "GlobalMaxPooling1D GlobalMaxPool1D", "", "it gives vectors"),
    Row("ZeroPadding1D", "ZeroPadding1D", "ZeroPad1d", "ZeroPadding1D((2, 0)), before and behind"),
    Row("ZeroPadding", "ZeroPadding2D", "ZeroPad2d"),
    Row("ReflectionPadding", "", "ReflectionPad2d"),
    Row("ReplicationPadding", "", "ReplicationPad2d"),
    Row("Cropping", "Cropping2D", ""),
    Row(
        "UpSampling",
        "UpSampling2D",
        "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
        'UpSampling(2), or UpSampling(2, "bilinear")',
    ),
    Row("DepthToSpace", "depth_to_space", "PixelShuffle", 'DepthToSpace(2), or DepthToSpace(2, "DCR")'),
    Row("ChannelShuffle", "", "ChannelShuffle"),
    Row("Flatten", "Flatten", "Flatten"),
    Row("Reshape", "Reshape", "Unflatten", "Reshape(input_shape, output_shape)"),
    Row(
        "Branches",
        "Concatenate Multiply Maximum Average",
        "",
        'Branches([layers], [layers], merge="multiply")',
    ),
    Row("Residual", "Add", "", "Residual([layers]) adds its input to what its layers make of it"),
    Row("ReLU", "ReLU", "ReLU"),
    Row("LeakyReLU", "LeakyReLU", "LeakyReLU"),
    Row("PReLU", "PReLU", "PReLU"),
    Row("SiLU", "Swish", "SiLU"),
    Row("HardSwish", "HardSilu", "Hardswish"),
    Row("HardSigmoid", "HardSigmoid", "Hardsigmoid"),
    Row("Softmax", "Softmax", "Softmax Softmax2d"),
    Row("LogSoftmax", "log_softmax", "LogSoftmax", '"softmax_cross_entropy" is the loss behind it'),
    Row(
        "Network",
        "Sequential Model Functional",
        "Sequential Module ModuleList",
        "Network([layer, layer, ...])",
    ),
)
#: Losses, as `fit` takes them by name.
LOSSES = (
    Row("mse", "mean_squared_error MeanSquaredError", "MSELoss mse_loss"),
    Row("mean_absolute_error", "mae MeanAbsoluteError", "L1Loss l1_loss"),
    Row("huber", "Huber huber_loss", "HuberLoss SmoothL1Loss smooth_l1_loss"),
    Row("log_cosh", "LogCosh logcosh", ""),
    Row("hinge", "Hinge", ""),
    Row("dice", "Dice", "DiceLoss", "behind a Softmax or a Sigmoid"),
    Row("binary_cross_entropy", "binary_crossentropy BinaryCrossentropy", "BCELoss bce", "behind a Sigmoid"),
    Row(
        "categorical_cross_entropy",
        "sparse_categorical_crossentropy categorical_crossentropy SparseCategoricalCrossentropy "
        "CategoricalCrossentropy log_loss",
        "NLLLoss nll_loss",
        "behind a Softmax, for labels and one-hot rows alike; behind LogSoftmax softmax_cross_entropy",
    ),
    Row(
        "softmax_cross_entropy",
        "softmax_cross_entropy_with_logits",
        "CrossEntropyLoss cross_entropy crossentropy",
        "behind a last Dense, with no Softmax",
    ),
    Row(
        "sigmoid_binary_cross_entropy",
        "sigmoid_cross_entropy_with_logits",
        "BCEWithLogitsLoss binary_cross_entropy_with_logits",
        "behind a last Dense, with no Sigmoid",
    ),
    Row("kl_divergence", "KLDivergence kld kullback_leibler_divergence", "KLDivLoss kl_div"),
)
#: How weights are first drawn, as the argument `initialization` takes them by name.
INITIALIZATIONS = (
    Row("he", "he_normal HeNormal", "kaiming_normal kaiming_normal_ kaiming"),
    Row("he_uniform", "he_uniform HeUniform", "kaiming_uniform kaiming_uniform_"),
    Row("glorot", "glorot_normal GlorotNormal", "xavier_normal xavier_normal_ xavier"),
    Row("glorot_uniform", "glorot_uniform GlorotUniform", "xavier_uniform xavier_uniform_"),
    Row("lecun", "lecun_normal LecunNormal", ""),
    Row("lecun_uniform", "lecun_uniform LecunUniform", ""),
    Row("orthogonal", "orthogonal Orthogonal OrthogonalInitializer", "orthogonal orthogonal_"),
    Row("zeros", "zeros Zeros", "zeros zeros_"),
    Row("normal", "random_normal RandomNormal", "normal normal_", "with a standard deviation of 1"),
)
#: Metrics, as `fit` and `evaluate` take them by name.
METRICS = (
    Row("accuracy", "acc categorical_accuracy sparse_categorical_accuracy binary_accuracy", ""),
    Row("top_5_accuracy", "top_k_categorical_accuracy TopKCategoricalAccuracy top_k_accuracy top5", ""),
    Row("f1", "F1Score f1_score", "", 'metrics="f1"'),
    Row("precision", "Precision precision_score", "", 'metrics="precision"'),
    Row("recall", "Recall recall_score", "", 'metrics="recall"'),
    Row("mean_squared_error", "mse"),
    Row("root_mean_squared_error", "rmse RootMeanSquaredError"),
    Row("r2", "R2Score r2_score"),
    Row("subset_accuracy", "exact_match"),
    Row("confusion_matrix", "ConfusionMatrix", ""),
    Row("mean_iou", "MeanIoU iou miou jaccard", "JaccardIndex", "of label maps"),
    Row("mean_dice", "", "DiceScore", "of label maps"),
)
#: What the rest of a program is made of.
PARTS = (
    Row("EarlyStopping", "EarlyStopping", "", "EarlyStopping(patience=5) among the callbacks of fit"),
    Row("Checkpoint", "BackupAndRestore", "", "Checkpoint(path) among the callbacks of fit"),
    Row(
        "BestModel", "ModelCheckpoint", "", "BestModel(path) among the callbacks of fit; Checkpoint, to go on"
    ),
    Row("ReduceOnPlateau", "ReduceLROnPlateau", "ReduceLROnPlateau", "among the callbacks of fit"),
    Row("CSVLog", "CSVLogger", "", "CSVLog(path) among the callbacks of fit"),
    Row("TensorBoard", "TensorBoard", "SummaryWriter", "TensorBoard(folder) among the callbacks of fit"),
    Row(
        "LearningRate",
        "LearningRateScheduler",
        "LambdaLR LRScheduler",
        "LearningRate(optimizer, Cosine(0.01)) among the callbacks of fit",
    ),
    Row("find_learning_rate", "", "lr_find LRFinder LearningRateFinder", "in purecnn.inspection"),
    Row(
        "WeightAverage",
        "SwapEMAWeights",
        "AveragedModel StochasticWeightAveraging",
        "among the callbacks of fit",
    ),
    Row("Cosine", "CosineDecay", "CosineAnnealingLR"),
    Row("CosineRestarts", "CosineDecayRestarts", "CosineAnnealingWarmRestarts"),
    Row("Exponential", "ExponentialDecay", "ExponentialLR"),
    Row("Step", "PiecewiseConstantDecay", "StepLR MultiStepLR"),
    Row("OneCycle", "", "OneCycleLR"),
    Row("WarmUp", "", "LinearLR"),
    Row("Constant", "", "ConstantLR"),
    Row("Optimizer", "Optimizer", "Optimizer"),
    Row(
        "Augmentation",
        "ImageDataGenerator RandomFlip RandomRotation RandomTranslation RandomZoom RandomErasing "
        "RandomBrightness RandomContrast RandomHue RandomSaturation RandomColorJitter MixUp CutMix",
        "RandomHorizontalFlip RandomAffine RandomRotation RandomErasing RandomCrop ColorJitter MixUp CutMix "
        "Compose",
        "fit(..., augmentation=Augmentation(shift=4, flip=True)), where a shift in pixels is a random crop "
        "of images with a border",
    ),
    Row(
        "Preprocessing",
        "Rescaling Normalization StandardScaler",
        "Normalize ToTensor",
        "bytes need none",
    ),
    Row(
        "Dataset",
        "Sequence PyDataset",
        "DataLoader TensorDataset",
        "a class of your own with labels, __len__ and batch(rows); arrays need none",
    ),
    Row("ImageFolder", "image_dataset_from_directory flow_from_directory", "ImageFolder"),
    Row("CNNClassifier", "MLPClassifier KerasClassifier", "NeuralNetClassifier"),
    Row("CNNRegressor", "MLPRegressor KerasRegressor", "NeuralNetRegressor"),
    Row("stratified_split", "train_test_split", "random_split"),
    Row("load", "load_model", ""),
    Row("save", "save_model", ""),
    Row("load_keras_weights", "load_weights", ""),
)
#: What there is no name for here, and what to write in its place.
WITHOUT = (
    Row(
        "",
        "Input InputLayer",
        "",
        "Network finds the shape in the data, or takes input_shape=",
    ),
    Row("", "to_categorical", "one_hot", "integer labels are taken as they are"),
    Row(
        "",
        "layers models optimizers losses metrics callbacks",
        "nn optim utils functional",
        "all are in purecnn",
    ),
    Row("", "Conv1D Conv3D", "Conv1d Conv3d", "convolutions are those of images, two axes wide"),
    Row("", "LSTM GRU SimpleRNN Embedding", "LSTM GRU RNN Embedding", "there are no recurrent layers"),
    Row(
        "",
        "Nadam Adamax Adadelta Lion",
        "NAdam Adamax Adadelta RAdam LBFGS",
        "use Adam or AdamW",
    ),
)
#: Arguments.
ARGUMENTS = (
    Row("depth", "filters", "out_channels"),
    Row("kernel_size", "kernel_size pool_size", "kernel_size"),
    Row("pool_size", "pool_size", "kernel_size"),
    Row("stride", "strides", "stride"),
    Row("dilation", "dilation_rate", "dilation"),
    Row("count_padding", "", "count_include_pad"),
    Row("output_size", "units", "out_features"),
    Row("input_size", "input_dim", "in_features"),
    Row("rate", "rate", "p prob"),
    Row("slope", "negative_slope alpha", "negative_slope"),
    Row("epsilon", "epsilon", "eps"),
    Row("affine", "center scale", "affine elementwise_affine"),
    Row("groups", "groups", "num_groups groups"),
    Row("", "", "normalized_shape", 'LayerNormalization takes over="channels" or over="sample"'),
    Row("initial_gamma", "gamma_initializer", "", "a number, such as 0"),
    Row("initialization", "kernel_initializer initializer", "init"),
    Row("rng", "random_state generator", "generator"),
    Row("input_shape", "batch_input_shape input_size shape", ""),
    Row("output_shape", "target_shape", "unflattened_size"),
    Row("learning_rate", "learning_rate learning_rate_init eta", "lr"),
    Row("beta1", "beta_1"),
    Row("beta2", "beta_2"),
    Row("", "", "betas", "beta1 and beta2 are numbers of their own"),
    Row("alpha", "rho", "alpha"),
    Row("weight_decay", "weight_decay decay", "weight_decay"),
    Row("clip_norm", "global_clipnorm clipnorm", "max_norm grad_clip"),
    Row("epochs", "epochs max_iter nb_epoch", "max_epochs num_epochs n_epochs epoch"),
    Row("batch_size", "batch_size", "batch_size batchsize"),
    Row("accumulate", "gradient_accumulation_steps", "accumulate_grad_batches gradient_accumulation_steps"),
    Row("loss", "loss", "criterion loss_fn loss_function"),
    Row("loss_prime", "", "loss_derivative"),
    Row("optimizer", "optimizer solver", "optim"),
    Row("metrics", "metrics metric weighted_metrics", ""),
    Row("callbacks", "callbacks callback", "callbacks"),
    Row("validation_data", "validation_data", "val_data eval_set validation_set"),
    Row("validation_split", "validation_split", "val_split"),
    Row("validation_fraction", "validation_fraction validation_split", ""),
    Row("augmentation", "augment data_augmentation", "transform transforms"),
    Row("sample_weight", "sample_weight sample_weights", ""),
    Row("ignore_label", "ignore_class", "ignore_index", "of fit and evaluate, for label maps"),
    Row("class_weight", "class_weight class_weights", "weight"),
    Row("l2", "alpha kernel_regularizer regularizer", "weight_decay"),
    Row("threads", "workers n_jobs", "num_workers num_threads"),
    Row("resume", "initial_epoch", "ckpt_path resume_from"),
    Row("seed", "seed random_state", "seed manual_seed random_seed"),
    Row("random_state", "seed random_seed", ""),
    Row("device", "", "device accelerator"),
    Row("restore_best", "restore_best_weights", ""),
    Row("min_delta", "min_delta", "threshold"),
    Row("min_rate", "min_lr", "min_lr"),
    Row("monitor", "monitor metric", "monitor"),
    Row("path", "filepath filename", "f dirpath"),
    Row("folder", "log_dir directory", "log_dir root"),
    Row("every", "save_freq", "every_n_train_steps"),
    Row("size", "target_size image_size", "scale_factor"),
    Row("block_size", "", "upscale_factor"),
    Row("interpolation", "", "mode"),
    Row("channels", "color_mode", ""),
    Row("shift", "width_shift_range height_shift_range translate", "translate"),
    Row("rotate", "rotation_range rotation degrees", "degrees"),
    Row("scale", "zoom_range rescale zoom", "scale"),
    Row("shear", "shear_range", "shear"),
    Row("flip", "horizontal_flip", ""),
    Row("classes", "class_names labels", "classes"),
    Row(
        "",
        "activation",
        "nonlinearity",
        "put an activation behind it as a layer of its own, such as ReLU()",
    ),
    Row("bias", "use_bias", "bias"),
    Row("", "", "in_channels num_features num_parameters", "the input tells how many: leave it out"),
    Row("", "data_format axis", "dim padding_mode", "images are (n, channels, height, width)"),
    Row(
        "",
        "kernel_regularizer bias_regularizer activity_regularizer",
        "",
        "fit takes l1 and l2",
    ),
    Row("", "bias_initializer kernel_constraint bias_constraint", "", "biases begin at zero"),
    Row("", "name", "", "layers have no names"),
    Row("", "trainable", "requires_grad", "set layer.trainable = False"),
    Row("", "", "lr_mult param_groups", "set layer.learning_rate_factor = 0.1"),
    Row("", "", "inplace", "the engine itself decides what is computed in place"),
    Row(
        "",
        "amsgrad clipvalue",
        "amsgrad foreach fused maximize dampening params",
        "leave it out",
    ),
    Row("", "use_ema ema_momentum", "", "fit(..., callbacks=WeightAverage(decay=0.99)) averages the weights"),
    Row("", "batch_size verbose steps", "", "how many samples run at a time is fixed"),
    Row("", "validation_freq", "check_val_every_n_epoch", "the validation set is measured after each epoch"),
    Row(
        "",
        "steps_per_epoch validation_steps",
        "limit_train_batches",
        "an epoch goes over all samples",
    ),
    Row("", "initial_epoch", "", "a second fit goes on where the first ended"),
    Row("", "save_best_only save_weights_only", "", "BestModel(path) writes the best epoch's model"),
    Row("", "validation_batch_size max_queue_size use_multiprocessing", "pin_memory", "leave it out"),
    Row("", "early_stopping", "patience", "fit(..., callbacks=EarlyStopping(patience=5))"),
)
#: The rows of public names.
IMPORTS = (*LAYERS, *LOSSES, *METRICS, *PARTS, *WITHOUT)
