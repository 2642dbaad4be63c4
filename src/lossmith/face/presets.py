"""Other libraries' meanings by name, for moving over without a jump in a training curve.

Each function takes its peer's arguments in its peer's order and returns its peer's number, quirks
of denominators included; the docstring says how that differs from Lossmith's own loss, and what
of the peer is left out. Shapes and options that the peer refuses, and most that it broadcasts, are
refused in words. Where the peer's formula is ours in another reduction or weighting, ours is what
runs. For new work use the losses themselves: `lossmith.focal`, `lossmith.binary_focal`,
`lossmith.huber`, `lossmith.cross_entropy`.

One soft label, score 1.3, target 0.7, gamma 2, no alpha, has four focal losses:
torchvision, mmdetection and Keras 0.0939 · segmentation_models.pytorch 0.1382 · kornia and
Lossmith 0.2932 · MONAI 0.0877. On hard labels they agree.
"""

from lossmith.face.peers_detection import mmdet_cross_entropy as mmdet_cross_entropy
from lossmith.face.peers_detection import mmdet_sigmoid_focal_loss as mmdet_sigmoid_focal_loss
from lossmith.face.peers_detection import mmdet_smooth_l1_loss as mmdet_smooth_l1_loss
from lossmith.face.peers_detection import (
    torchvision_sigmoid_focal_loss as torchvision_sigmoid_focal_loss,
)
from lossmith.face.peers_keras import keras_binary_crossentropy as keras_binary_crossentropy
from lossmith.face.peers_keras import (
    keras_binary_focal_crossentropy as keras_binary_focal_crossentropy,
)
from lossmith.face.peers_keras import (
    keras_categorical_crossentropy as keras_categorical_crossentropy,
)
from lossmith.face.peers_keras import (
    keras_categorical_focal_crossentropy as keras_categorical_focal_crossentropy,
)
from lossmith.face.peers_keras import keras_huber as keras_huber
from lossmith.face.peers_segmentation import (
    kornia_binary_focal_loss_with_logits as kornia_binary_focal_loss_with_logits,
)
from lossmith.face.peers_segmentation import kornia_focal_loss as kornia_focal_loss
from lossmith.face.peers_segmentation import monai_focal_loss as monai_focal_loss
from lossmith.face.peers_segmentation import smp_focal_loss as smp_focal_loss
from lossmith.face.peers_segmentation import smp_soft_cross_entropy as smp_soft_cross_entropy

__all__ = [
    *("torchvision_sigmoid_focal_loss",),
    *("mmdet_sigmoid_focal_loss", "mmdet_smooth_l1_loss", "mmdet_cross_entropy"),
    *("kornia_focal_loss", "kornia_binary_focal_loss_with_logits"),
    *("monai_focal_loss",),
    *("smp_focal_loss", "smp_soft_cross_entropy"),
    *("keras_binary_focal_crossentropy", "keras_categorical_focal_crossentropy"),
    *("keras_binary_crossentropy", "keras_categorical_crossentropy", "keras_huber"),
]
