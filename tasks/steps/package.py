"""Step ``package``: saves a trained network and its parts as MLflow models, to load and serve."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from models.messages import in_one_line
from models.specs import ConfigError
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.artifacts.saved_model import load_saved_folder
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.own_code.registry import OWN_CODES
from tasks.own_code.unchanged import digests_in

if TYPE_CHECKING:
    from torch import nn


LONGEST_REASON = 300  # characters
TOLERANCE = 1e-4  # of outputs in about [0, 1]; an exported graph computes in another order


def package_model(folder: Path, model: Entry) -> Result:
    """Save an autoencoder, its encoder and its decoder, or a classifier, each in its own folder.

    A user's own network that cannot be exported is left out, and ``not_packaged`` says why. The
    texts of its code are written beside the models, to be read.
    """
    from tasks.tracking.logged_models import save_model

    parts = _classifier(model) if model.task == "transfer" else _autoencoder(model)
    built = model.result["architecture" if model.task == "transfer" else "spec"]
    own = digests_in(built)
    saved, not_packaged = [], {}
    for name, part in parts.items():
        try:
            save_model(part[0], folder / name, *part[1:])
            if own:
                _check_saved(folder / name, part)
            saved.append(name)
        except Exception as error:
            if not own:
                raise
            shutil.rmtree(folder / name, ignore_errors=True)
            kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
            not_packaged[name] = in_one_line(f"{kind}{error}", LONGEST_REASON)
    for digest in own | digests_in(model.result.get("objective")):
        for file, text in OWN_CODES.code(digest).files.items():
            (folder / f"source-{file.replace('/', '-')}.txt").write_text(text, encoding="utf-8")
    return {"models": saved, "not_packaged": not_packaged}


def _check_saved(folder: Path, part: "Part") -> None:
    """Raise ValueError unless a saved network computes what the network does.

    Its graph is that of one batch; code of a user may compute something else for others.
    """
    import torch

    module, inputs, _ = part
    batch = torch.rand(3, *inputs, generator=torch.Generator().manual_seed(0))
    found = load_saved_folder(folder.name, folder).predict(batch.numpy())
    with torch.no_grad():
        expected = module.eval()(batch)
    difference = float((torch.from_numpy(found) - expected).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise ValueError(f"the exported graph differs by {difference:.2g} on random inputs")


Part = tuple["nn.Module", tuple[int, ...], tuple[int, ...]]  # shapes of one input and one output


def _autoencoder(model: Entry) -> dict[str, Part]:
    autoencoder = load_autoencoder(model)
    latent, images = (autoencoder.spec.latent_dim,), tuple(model.result["image_shape"])
    return {
        "encoder": (autoencoder.encoder, images, latent),
        "decoder": (autoencoder.decoder, latent, images),
        "autoencoder": (autoencoder, images, images),
    }


def _classifier(model: Entry) -> dict[str, Part]:
    """The classifier returns one logit per class."""
    n_classes, images = len(model.result["confusion"]), tuple(model.result["image_shape"])
    return {"classifier": (load_classifier(model), images, (n_classes,))}


package = Step(package_model, "package", logs_to="model", shared=False)
