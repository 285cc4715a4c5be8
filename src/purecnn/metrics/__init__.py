"""Metrics: how good answers are, in the numbers that people compare, the samples first.

`classification`, `multilabel`, `regression` and `segmentation` have the functions, `inputs` the one form that
labels, one-hot rows and probabilities are brought to, `registry` their names in `fit`, `class_tables` a row a
class.

Imports `backend` and `losses`. Begin with `classification`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.metrics.class_tables import ClassTable as ClassTable
    from purecnn.metrics.class_tables import class_table as class_table
    from purecnn.metrics.classification import accuracy as accuracy
    from purecnn.metrics.classification import calibration_error as calibration_error
    from purecnn.metrics.classification import confusion_matrix as confusion_matrix
    from purecnn.metrics.classification import f1 as f1
    from purecnn.metrics.classification import log_loss as log_loss
    from purecnn.metrics.classification import precision as precision
    from purecnn.metrics.classification import recall as recall
    from purecnn.metrics.classification import top_k_accuracy as top_k_accuracy
    from purecnn.metrics.multilabel import label_accuracy as label_accuracy
    from purecnn.metrics.multilabel import multilabel_f1 as multilabel_f1
    from purecnn.metrics.multilabel import multilabel_precision as multilabel_precision
    from purecnn.metrics.multilabel import multilabel_recall as multilabel_recall
    from purecnn.metrics.multilabel import subset_accuracy as subset_accuracy
    from purecnn.metrics.regression import mean_absolute_error as mean_absolute_error
    from purecnn.metrics.regression import mean_squared_error as mean_squared_error
    from purecnn.metrics.regression import r2 as r2
    from purecnn.metrics.regression import root_mean_squared_error as root_mean_squared_error
    from purecnn.metrics.segmentation import class_maps as class_maps
    from purecnn.metrics.segmentation import dice_coefficient as dice_coefficient
    from purecnn.metrics.segmentation import intersection_over_union as intersection_over_union
    from purecnn.metrics.segmentation import pixel_accuracy as pixel_accuracy
    from purecnn.metrics.segmentation import pixel_confusion_matrix as pixel_confusion_matrix
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "class_tables": "class_table ClassTable",
            "classification": (
                "accuracy calibration_error confusion_matrix f1 log_loss precision recall top_k_accuracy"
            ),
            "multilabel": (
                "label_accuracy multilabel_f1 multilabel_precision multilabel_recall subset_accuracy"
            ),
            "regression": "mean_absolute_error mean_squared_error r2 root_mean_squared_error",
            "segmentation": (
                "class_maps dice_coefficient intersection_over_union pixel_accuracy pixel_confusion_matrix"
            ),
        },
    )
