"""Training: what Keras, PyTorch and scikit-learn call its tools, and what they are called here.

Losses, metrics, initializations, optimizers, schedules, callbacks, augmentation, data and files.
"""

from purecnn.messages.words.row import Row

#: Losses, as `fit` takes them by name.
LOSSES = (
    Row(
        "categorical_cross_entropy",
        "sparse_categorical_crossentropy categorical_crossentropy SparseCategoricalCrossentropy "
        "CategoricalCrossentropy log_loss",
        "NLLLoss nll_loss NLLLoss2d",
        "behind a Softmax, for labels and one-hot rows alike; behind LogSoftmax softmax_cross_entropy",
    ),
    Row(
        "softmax_cross_entropy",
        "softmax_cross_entropy_with_logits",
        "CrossEntropyLoss cross_entropy crossentropy",
        "behind a last Dense, with no Softmax",
    ),
    Row("binary_cross_entropy", "binary_crossentropy BinaryCrossentropy", "BCELoss bce", "behind a Sigmoid"),
    Row(
        "sigmoid_binary_cross_entropy",
        "sigmoid_cross_entropy_with_logits",
        "BCEWithLogitsLoss binary_cross_entropy_with_logits MultiLabelSoftMarginLoss SoftMarginLoss",
        "behind a last Dense, with no Sigmoid; SoftMarginLoss has -1 for 0",
    ),
    Row(
        "categorical_focal_cross_entropy",
        "CategoricalFocalCrossentropy categorical_focal_crossentropy",
        "focal FocalLoss focal_loss",
        "behind a Softmax; Keras's alpha is fit(..., class_weight={0: 0.25, 1: 0.75})",
    ),
    Row(
        "binary_focal_cross_entropy",
        "BinaryFocalCrossentropy binary_focal_crossentropy",
        "sigmoid_focal_loss",
        "behind a Sigmoid",
    ),
    Row("mse", "mean_squared_error MeanSquaredError", "MSELoss mse_loss"),
    Row("mean_absolute_error", "mae MeanAbsoluteError", "L1Loss l1_loss"),
    Row("huber", "Huber huber_loss", "HuberLoss SmoothL1Loss smooth_l1_loss"),
    Row("log_cosh", "LogCosh logcosh LogCoshError", ""),
    Row("hinge", "Hinge", ""),
    Row("dice", "Dice", "DiceLoss", "behind a Softmax or a Sigmoid"),
    Row("kl_divergence", "KLDivergence kld kullback_leibler_divergence", "KLDivLoss kl_div"),
    Row("Loss", "Loss", "", "one of your own is fit(..., loss=function, loss_prime=derivative)"),
)
#: Metrics, as `fit` and `evaluate` take them by name.
METRICS = (
    Row(
        "accuracy",
        "Accuracy acc categorical_accuracy CategoricalAccuracy sparse_categorical_accuracy "
        "SparseCategoricalAccuracy",
        "",
    ),
    Row("label_accuracy", "binary_accuracy BinaryAccuracy", "", "of several labels"),
    Row("subset_accuracy", "exact_match", "", "of several labels"),
    Row(
        "top_5_accuracy",
        "top_k_categorical_accuracy TopKCategoricalAccuracy SparseTopKCategoricalAccuracy "
        "top_k_accuracy top5",
        "",
        "with any number, such as top_3_accuracy",
    ),
    Row("f1", "F1Score f1_score", "", 'metrics="f1"'),
    Row("precision", "Precision precision_score", "", 'metrics="precision"'),
    Row("recall", "Recall recall_score", "", 'metrics="recall"'),
    Row(
        "confusion_matrix",
        "ConfusionMatrix TruePositives TrueNegatives FalsePositives FalseNegatives",
        "",
    ),
    Row("mean_squared_error", "mse MeanSquaredError"),
    Row("root_mean_squared_error", "rmse RootMeanSquaredError"),
    Row("mean_absolute_error", "mae MeanAbsoluteError"),
    Row("r2", "R2Score r2_score"),
    Row(
        "mean_iou",
        "MeanIoU OneHotMeanIoU iou miou jaccard",
        "JaccardIndex",
        "of label maps",
    ),
    Row("iou_per_class", "IoU BinaryIoU OneHotIoU", "", "of label maps"),
    Row("mean_dice", "", "DiceScore", "of label maps"),
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
#: Optimizers.
OPTIMIZERS = (
    Row("Adam", "Adam", "Adam"),
    Row("AdamW", "AdamW", "AdamW", "AdamW(0.002, weight_decay=0.05, decay_biases=False)"),
    Row("SGD", "SGD", "SGD", "SGD(0.1, momentum=0.9, nesterov=True)"),
    Row("RMSprop", "RMSprop", "RMSprop"),
    Row("Adagrad", "Adagrad", "Adagrad"),
    Row("Optimizer", "Optimizer", "Optimizer"),
)
#: Schedules of the learning rate, and what sets it by them.
SCHEDULES = (
    Row(
        "LearningRate",
        "LearningRateScheduler",
        "LambdaLR MultiplicativeLR LRScheduler",
        "LearningRate(optimizer, Cosine(0.01)) among the callbacks of fit",
    ),
    Row("ReduceOnPlateau", "ReduceLROnPlateau", "ReduceLROnPlateau", "among the callbacks of fit"),
    Row("Cosine", "CosineDecay", "CosineAnnealingLR"),
    Row("OneCycle", "", "OneCycleLR"),
    Row("WarmUp", "", "LinearLR", "WarmUp(Cosine(0.01), share=0.05)"),
    Row("Step", "PiecewiseConstantDecay", "StepLR MultiStepLR"),
    Row("Exponential", "ExponentialDecay", "ExponentialLR"),
    Row("CosineRestarts", "CosineDecayRestarts", "CosineAnnealingWarmRestarts"),
    Row("Constant", "", "ConstantLR", "where PyTorch's first steps take a share of the rate"),
    Row("Schedule", "LearningRateSchedule", "", "a function from the progress, 0 to 1, to the rate"),
    Row("find_learning_rate", "", "lr_find LRFinder LearningRateFinder", "in purecnn.inspection"),
)
#: Callbacks.
CALLBACKS = (
    Row("EarlyStopping", "EarlyStopping", "", "EarlyStopping(patience=5) among the callbacks of fit"),
    Row(
        "BestModel", "ModelCheckpoint", "", "BestModel(path) among the callbacks of fit; Checkpoint, to go on"
    ),
    Row("Checkpoint", "BackupAndRestore OrbaxCheckpoint", "", "Checkpoint(path) among the callbacks of fit"),
    Row(
        "WeightAverage",
        "SwapEMAWeights",
        "AveragedModel StochasticWeightAveraging get_ema_multi_avg_fn get_ema_avg_fn get_swa_multi_avg_fn "
        "get_swa_avg_fn ASGD",
        'among the callbacks of fit: WeightAverage(decay=0.99), or WeightAverage("equal", start=5)',
    ),
    Row(
        "ProgressBar",
        "ProgbarLogger",
        "TQDMProgressBar RichProgressBar tqdm",
        "fit(..., verbose=True) shows one; or among the callbacks of fit",
    ),
    Row("CSVLog", "CSVLogger", "", "CSVLog(path) among the callbacks of fit"),
    Row("TensorBoard", "TensorBoard", "SummaryWriter", "TensorBoard(folder) among the callbacks of fit"),
    Row("History", "History", "", "fit returns it"),
    Row(
        "Callback", "Callback LambdaCallback", "", "derive from it; a function of the running fit is one too"
    ),
)
#: Augmentation, by its settings.
AUGMENTATIONS = (
    Row(
        "Augmentation",
        "ImageDataGenerator Pipeline",
        "Compose",
        "fit(..., augmentation=Augmentation(shift=4, flip=True))",
    ),
    Row("Augmentation", "RandomFlip", "RandomHorizontalFlip", "Augmentation(flip=True), left to right"),
    Row(
        "Augmentation",
        "RandomTranslation RandomCrop",
        "RandomCrop",
        "Augmentation(shift=4), which is a random crop of images with a border of 4 pixels",
    ),
    Row("Augmentation", "RandomRotation", "RandomRotation", "Augmentation(rotate=10), in degrees"),
    Row("Augmentation", "RandomZoom", "RandomResizedCrop", "Augmentation(scale=0.2)"),
    Row(
        "Augmentation", "RandomShear", "RandomAffine", "Augmentation(shift=2, rotate=10, scale=0.1, shear=5)"
    ),
    Row("Augmentation", "RandomErasing", "RandomErasing", "Augmentation(erase=8), a square of 8 pixels"),
    Row("Augmentation", "MixUp", "MixUp", "Augmentation(mixup=0.2)"),
    Row("Augmentation", "CutMix", "CutMix", "Augmentation(cutmix=1)"),
    Row(
        "Augmentation",
        "RandomBrightness RandomContrast RandomColorJitter",
        "ColorJitter",
        "Augmentation(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05)",
    ),
    Row(
        "Augmentation",
        "RandomSaturation RandomColorDegeneration RandomHue",
        "",
        "Augmentation(saturation=0.2, hue=0.05)",
    ),
)
#: Data, files, and programs around.
DATA = (
    Row(
        "Preprocessing",
        "Rescaling Normalization StandardScaler",
        "Normalize ToTensor ToImage ToDtype",
        "bytes need none",
    ),
    Row(
        "Dataset",
        "Sequence PyDataset",
        "DataLoader TensorDataset",
        "a class of your own with labels, __len__ and batch(rows); arrays need none",
    ),
    Row(
        "ImageFolder",
        "image_dataset_from_directory flow_from_directory Resizing CenterCrop",
        "ImageFolder Resize CenterCrop Grayscale",
        "ImageFolder(folder, size=32, channels=1), which scales and crops",
    ),
    Row("stratified_split", "train_test_split", "random_split"),
    Row("CNNClassifier", "MLPClassifier KerasClassifier", "NeuralNetClassifier"),
    Row("CNNRegressor", "MLPRegressor KerasRegressor", "NeuralNetRegressor"),
    Row("load", "load_model", ""),
    Row("save", "save_model", ""),
    Row("load_keras_weights", "load_weights", ""),
    Row("load_onnx", "TFSMLayer TorchModuleWrapper FlaxLayer JaxLayer", "", "load_onnx(path).network()"),
)
