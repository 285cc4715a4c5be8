"""What is called or typed, not imported: methods, attributes, commands and options by their near names."""

from __future__ import annotations

from purecnn.messages.words.row import Row

#: Attributes of a network.
METHODS = (
    Row("", "compile", "", "its arguments belong to fit: network.fit(x, y, loss=..., optimizer=...)"),
    Row("", "add", "add_module append", "Network([layer, layer, ...]) takes all layers at once"),
    Row("predict", "predict_proba predict_on_batch call", "forward"),
    Row("", "predict_classes", "", "network.predict(x).argmax(axis=1)"),
    Row("evaluate", "score test_on_batch", "test"),
    Row("fit", "fit_generator partial_fit", "train"),
    Row("", "", "eval no_grad", "predict and evaluate never train: leave it out"),
    Row("", "", "backward zero_grad step", "network.fit takes the steps"),
    Row("", "save", "", "purecnn.save(network, path)"),
    Row("", "save_weights", "state_dict", "purecnn.save_state_dict(network, path)"),
    Row(
        "",
        "load_weights",
        "load_state_dict",
        "purecnn.load_state_dict(network, path)",
    ),
    Row(
        "",
        "get_weights set_weights weights trainable_weights",
        "named_parameters",
        "network.parameters, one array",
    ),
    Row("", "get_layer", "modules children", "network.layers, or network[0]"),
    Row("to", "", "cuda cpu", 'network.to("cuda")'),
    Row("output_shape", "output_size", ""),
    Row("", "history", "", "fit returns it"),
)
#: Attributes of what `fit` returns.
HISTORIES = (
    Row("validation_loss", "val_loss", ""),
    Row("validation_accuracy", "val_accuracy val_acc", ""),
    Row("", "history", "", "each list is an attribute, such as history.loss and history.validation_loss"),
    Row("", "accuracy acc", "", 'fit(..., metrics="accuracy") measures it, for history.metrics["accuracy"]'),
)
#: Commands, by what other programs call them.
COMMANDS = (
    Row("train", "fit learn"),
    Row("evaluate", "eval test score validate"),
    Row("predict", "classify recognize"),
    Row("summary", "show describe"),
    Row("run", "infer inference execute"),
    Row("inspect", "info look dump check"),
    Row("playground", "serve ui web draw"),
    Row("download", "fetch get"),
    Row("convert", "import load"),
    Row("find-learning-rate", "lr_find lr-find range-test learning-rate tune"),
    Row("report", "plot plots compare"),
    Row("reproduce", "repeat rerun"),
    Row("", "resume continue", "", "`purecnn train --resume RUN` goes on with a run"),
    Row("", "help", "", "`purecnn --help` lists the commands"),
    Row("", "version", "", "`purecnn --version` says it"),
)
#: Options of the commands that are no arguments of a function.
OPTIONS = (
    Row("augment", "augmentation augmentations transform transforms"),
    Row("validation", "validation_split validation_fraction val_split val"),
    Row("patience", "early_stopping"),
    Row("threads", "workers num_workers jobs n_jobs"),
    Row("output", "out o save save_to output_dir"),
    Row("data", "dataset data_set data_dir"),
    Row("image_size", "img_size imgsz size"),
    Row("resume", "continue"),
    Row("network", "model arch architecture"),
    Row("seed", "random_state random_seed"),
)
#: What to write where a call's arguments are too many by position, or too few.
ADVICE = {
    "Activation": "the usual activations are layers of their own, such as ReLU()",
    "Reshape": "Flatten() needs no shapes",
    "Network": "put the layers into one list, Network([layer, layer, ...])",
    "fit": "name the others, such as epochs=10",
    "evaluate": "name the others, such as metrics=...",
    "BatchNormalization": "the channels are those of the input",
    "GroupNormalization": "the channels are those of the input",
    "LayerNormalization": "the sizes are those of the input",
    "PReLU": "the channels are those of the input",
}
