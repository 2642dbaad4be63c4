"""Names that people type from torch.nn and other libraries, and what each is here.

Asked only when `lossmith.NAME` does not exist; it imports nothing, so it costs nothing before.
"""

from __future__ import annotations

from collections.abc import Iterable

_LOGITS = "it takes logits; for probabilities p give torch.logit(p)"
_SCORES = "it takes logits and applies log_softmax itself"
_PAIRS = (
    "no loss over pairs or triplets of embeddings yet; torch.nn has TripletMarginLoss, "
    "CosineEmbeddingLoss and MarginRankingLoss, and for embeddings with classes there is "
    "lossmith.CenterLoss"
)
_REGIONS = (
    "no loss over regions yet; take Dice, Tversky or Jaccard from MONAI or "
    "segmentation_models_pytorch and add it: their sum with a Module of ours is a sum of tensors"
)
_BOXES = "no loss over boxes but the elementwise ones; torchvision.ops has the losses of overlap"
_PICTURES = (
    "no loss over whole pictures; for pixels there are lossmith.l1 and lossmith.pseudo_huber"
)
_RANKED = (
    "no loss over ranked lists yet; a pair is a margin: lossmith.logistic(better - worse, ones)"
)
_CRITICS = (
    "no adversarial loss by name; a critic's scores go into lossmith.hinge or "
    "lossmith.binary_cross_entropy"
)
_QUALITY = (
    "no loss of a score against an overlap yet; lossmith.binary_focal takes labels in [0, 1], "
    "with one gamma"
)
_TWO_GAMMAS = (
    "no focal loss with a gamma for each side yet; lossmith.binary_focal has one, and alpha"
)
_WING = "no Wing loss yet; lossmith.residual makes a loss of any formula of u"
_TOKENS = "classes are on dimension 1, so give logits.movedim(-1, 1), and labels already shifted"
_SMOOTH = "it has label_smoothing="
_PRIORS = "of logits + log(share of each class)"
_VARIANCE = (
    "no likelihood whose variance is predicted, yet; use torch.nn.GaussianNLLLoss, or "
    "lossmith.AdaptiveLoss, which learns one scale"
)

# How a name is typed elsewhere (see `_key`): the function here, and what to know.
_HERE: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("mse", "meansquarederror", "squarederror", "squared"), ("l2", "")),
    **dict.fromkeys(("mae", "meanabsoluteerror", "absoluteerror", "absolute"), ("l1", "")),
    **dict.fromkeys(("bce", "sigmoidcrossentropy", "sigmoidbinarycrossentropy"),
                    ("binary_cross_entropy", _LOGITS)),
    **dict.fromkeys(("softbce", "bernoullinll"), ("binary_cross_entropy", _LOGITS)),
    "weightedcrossentropy": ("binary_cross_entropy", "its pos_weight is "
                             "sample_weight=1 + (pos_weight - 1) * target"),
    **dict.fromkeys(("nll", "nllloss2d", "negativeloglikelihood", "ce", "softcrossentropy"),
                    ("cross_entropy", _SCORES)),
    "log": ("cross_entropy", f"{_SCORES}; the logarithm is lossmith.primitives.log"),
    **dict.fromkeys(("categoricalcrossentropy", "sparsecategoricalcrossentropy",
                     "softmaxcrossentropy", "softmaxcrossentropywithintegerlabels", "logsoftmax",
                     "safesoftmaxcrossentropy", "sparsesoftmaxcrossentropy", "ligercrossentropy"),
                    ("cross_entropy", _SCORES)),
    **dict.fromkeys(("labelsmoother", "labelsmoothingcrossentropy", "crossentropylabelsmooth",
                     "labelsmoothing"), ("cross_entropy", _SMOOTH)),
    "softtargetcrossentropy": ("cross_entropy", "a floating target is a distribution"),
    **dict.fromkeys(("forcausallm", "formaskedlm", "fortokenclassification", "fixedcrossentropy",
                     "forsequenceclassification", "forquestionanswering"),
                    ("cross_entropy", _TOKENS)),
    **dict.fromkeys(("balancedsoftmax", "logitadjustment", "logitadjusted"),
                    ("cross_entropy", _PRIORS)),
    "classbalanced": ("cross_entropy", "class_weight= holds one weight per class"),
    **dict.fromkeys(("kldivloss2d", "jsdivloss2d"),
                    ("kl_divergence", "and js_divergence; flatten the pixels into dimension 1")),
    "jsdcrossentropy": ("js_divergence", "of two distributions; AugMix takes three"),
    **dict.fromkeys(("kl", "kld", "kldiv", "kullbackleibler"),
                    ("kl_divergence", "it takes logits, and probabilities as target")),
    **dict.fromkeys(("js", "jsd", "jensenshannon"), ("js_divergence", "it takes logits")),
    "softmargin": ("logistic", 'targets are 0 and 1, or ±1 with labels="signed"'),
    "multilabelsoftmargin": ("binary_cross_entropy", _LOGITS),
    "categoricalhinge": ("CrammerSinger", "Keras's counts 0 among the rivals"),
    **dict.fromkeys(("multimargin", "multiclasshinge"),
                    ("CrammerSinger", "a Module around any margin loss")),
    **dict.fromkeys(("sigmoidfocal", "binaryfocalcrossentropy"),
                    ("binary_focal", "torchvision's own meaning is "
                     "lossmith.presets.torchvision_sigmoid_focal_loss")),
    **dict.fromkeys(("categoricalfocalcrossentropy", "softmaxfocal"), ("focal", "")),
    **dict.fromkeys(("quantile", "quantileregression", "check", "meanpinball"), ("pinball", "")),
    "brierscore": ("brier", _LOGITS),
    **dict.fromkeys(("rmse", "rootmeansquarederror"), ("l2", "its root is yours to take")),
    "weightedmse": ("l2", "it has sample_weight="),
    **dict.fromkeys(("msle", "meansquaredlogarithmicerror", "meansquaredlogerror"),
                    ("l2", "of log1p of both")),
    **dict.fromkeys(("mape", "meanabsolutepercentageerror"),
                    ("l1", "sample_weight=100 / target.abs(), and .total(…)[0] / target.numel()")),
    "diffusion": ("l2", "of the noise and what was predicted of it"),
    **dict.fromkeys(("charbonnier", "softl1", "pseudohuber"), ("pseudo_huber", "")),
    **dict.fromkeys(("tukey", "biweight", "bisquare"), ("tukey_biweight", "")),
    **dict.fromkeys(("lorentz", "lorentzian"), ("cauchy", "")),
    **dict.fromkeys(("correntropy", "leclerc"), ("welsch", "")),
    **dict.fromkeys(("gemanmcclure", "geman"), ("geman_mcclure", "")),
    "adaptiverobust": ("barron", "lossmith.AdaptiveLoss learns its parameters"),
    **dict.fromkeys(("linearcrossentropy", "fusedlinearcrossentropy",
                     "ligerfusedlinearcrossentropy"), ("linear_loss", "")),
    **dict.fromkeys(("gce", "categoricalgeneralizedcrossentropy"),
                    ("generalized_cross_entropy", "")),
    **dict.fromkeys(("poly", "polylosscrossentropy", "poly1crossentropy"), ("poly1", "")),
    "deepsupervision": ("Objective", "a sum of the loss at each depth, each with its weight"),
    "zeroone": ("zero_one", ""),
    "asymmetricsquared": ("expectile", ""),
    **dict.fromkeys(("epe", "endpointerror", "endpoint", "keypoint", "l2norm", "euclidean",
                     "euclideandistance", "distance", "norm"),
                    ("Radial", 'any residual loss of a distance, "l1" for the distance itself')),
    **dict.fromkeys(("lasso", "l1regularization"), ("L1Penalty", "")),
    **dict.fromkeys(("ridge", "weightdecay", "l2regularization"), ("L2Penalty", "")),
}  # fmt: skip

# What is missing, and what to take instead.
_NOT_HERE: dict[str, str] = {
    **dict.fromkeys(("dice", "generalizeddice", "dicece", "dicefocal", "tversky", "focaltversky",
                     "jaccard", "iou", "lovasz", "lovaszsoftmax", "lovaszhinge", "maskeddice",
                     "generalizeddicefocal", "generalizedwassersteindice", "softcldice",
                     "softdicecldice", "asymmetricfocaltversky", "asymmetricunifiedfocal",
                     "hausdorffdt", "loghausdorffdt", "hausdorffer", "mcc"), _REGIONS),
    **dict.fromkeys(("tripletmargin", "triplet", "tripletmarginwithdistance", "contrastive",
                     "cosineembedding", "cosinesimilarity", "cosine", "marginranking",
                     "hingeembedding", "infonce", "ntxent", "supcon", "arcface", "cosface",
                     "circle", "npair", "npairs", "cosinedistance", "barlowtwins", "simclr",
                     "sphereface", "multisimilarity"), _PAIRS),
    **dict.fromkeys(("giou", "diou", "ciou", "eiou", "alphaiou", "boxiou", "generalizedboxiou",
                     "distanceboxiou", "completeboxiou"), _BOXES),
    **dict.fromkeys(("qualityfocal", "varifocal", "distributionfocal", "generalizedfocal"),
                    _QUALITY),
    **dict.fromkeys(("asymmetric", "asymmetricmultilabel", "asymmetricsinglelabel",
                     "asymmetriclossmultilabel", "asymmetriclosssinglelabel", "asymmetricfocal"),
                    _TWO_GAMMAS),
    **dict.fromkeys(("ssim", "ssim3d", "msssim", "psnr", "perceptual", "lpips", "totalvariation",
                     "inversedepthsmoothness", "bendingenergy", "globalmutualinformation",
                     "localnormalizedcrosscorrelation", "multiscale", "jukebox", "spectral"),
                    _PICTURES),
    **dict.fromkeys(("rankingsoftmax", "pairwiselogistic", "lambdarank", "ranknet", "listnet",
                     "listmle", "bpr"), _RANKED),
    **dict.fromkeys(("gan", "hingegan", "patchadversarial", "adversarial", "wasserstein",
                     "gradientpenalty"), _CRITICS),
    **dict.fromkeys(("wing", "adaptivewing"), _WING),
    **dict.fromkeys(("ldam", "seesaw", "eql", "equalization"),
                    "no margin or gate by the count of a class yet; lossmith.cross_entropy has "
                    f"class_weight=, and priors enter as cross_entropy {_PRIORS}"),
    **dict.fromkeys(("symmetriccrossentropy", "sce"),
                    "no sum of cross-entropy and its reverse yet; for wrong labels there is "
                    "lossmith.generalized_cross_entropy"),
    **dict.fromkeys(("ohem", "ohemcrossentropy", "topkcrossentropy"),
                    'no choice of hard examples; take topk of cross_entropy(…, reduction="none")'),
    **dict.fromkeys(("elbo", "vae", "gaussiankl"),
                    "no divergence of Gaussians yet; use torch.distributions.kl_divergence"),
    "sparsemax": "no map but softmax yet",
    "medianabsoluteerror": 'no median; take that of lossmith.l1(…, reduction="none")',
    "reduction": 'no such class: reduction="mean", "sum" or "none" is given in words',
    "gaussiannll": _VARIANCE,
    "poissonnll": "no Poisson likelihood yet; use torch.nn.PoissonNLLLoss",
    "poisson": "no Poisson likelihood yet; use torch.nn.PoissonNLLLoss",
    "ctc": "no loss over alignments; use torch.nn.CTCLoss",
    "multilabelmargin": "nothing that does as much yet; use torch.nn.MultiLabelMarginLoss, or "
                        'lossmith.binary_cross_entropy on (N, C)',
    "adaptivelogsoftmaxwith": "no softmax in clusters; use torch.nn.AdaptiveLogSoftmaxWithLoss, or "
                              "lossmith.linear_loss, which needs little memory for many classes",
    **dict.fromkeys(("nn", "functional", "f", "losses", "ops", "modules"),
                    "no such folder: functions and Modules are all on this page, as lossmith.focal "
                    "and lossmith.Focal"),
}  # fmt: skip


def _key(name: str) -> str:
    """The name without case, underscores, and endings that say nothing: MSELoss, mse_loss → mse."""
    bare = name.replace("_", "").lower()
    for ending in ("loss", "withlogits", "fromlogits", "loss"):
        bare = bare.removesuffix(ending) or bare
    return bare


def answer(name: str, known: Iterable[str]) -> str:
    """What somebody who typed this name may mean, for the end of an error; "" if nobody knows."""
    names = sorted(known)
    key, module = _key(name), name[:1].isupper()
    if key in _NOT_HERE:
        return f": {_NOT_HERE[key]}."
    ours, note = _HERE.get(key, (key, ""))
    same = [n for n in names if _key(n) == _key(ours)]
    if same:
        # Of a function and its Module, the one that is written as the name was.
        same.sort(key=lambda n: n[:1].isupper() != module)
        other = f" (and lossmith.{same[1]})" if len(same) > 1 else ""
        return f"; here that is lossmith.{same[0]}{other}" + (f": {note}." if note else ".")
    near = _near(name, key, names)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _near(name: str, key: str, names: list[str]) -> list[str]:
    import difflib

    spelt: dict[str, list[str]] = {}
    for known in names:
        spelt.setdefault(known.replace("_", "").lower(), []).append(known)
    close = difflib.get_close_matches(key, spelt, n=2, cutoff=0.7)
    found = [known for form in close for known in spelt[form]]
    found.sort(key=lambda known: known[:1].isupper() != name[:1].isupper())
    foreign = difflib.get_close_matches(key, [*_HERE], n=1, cutoff=0.8)
    return found[:3] or [_HERE[form][0] for form in foreign]
