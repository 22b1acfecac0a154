"""Networks as MLflow models: a user's own that cannot be exported is named, and nothing stops."""

import torch
from safetensors.torch import save_file

from models.networks.autoencoder import Autoencoder
from models.specs import Architecture, ModelSpec
from tasks.artifacts.autoencoder import WEIGHTS
from tasks.artifacts.saved_model import load_saved_folder
from tasks.cache.entry import Entry
from tasks.own_code.digest import code_sha256
from tasks.own_code.read import read_source
from tasks.own_code.registry import OWN_CODES
from tasks.steps.package import package_model

NETS = '''\
import torch
from torch import nn


class Branches(nn.Module):
    """Takes another way for dark images, which no graph can hold."""

    def __init__(self, values, outputs):
        super().__init__()
        self.layer = nn.Linear(values, outputs)

    def forward(self, x):
        found = self.layer(x.flatten(1))
        return found if float(x.mean()) > 0.1 else -found


def branches(image_shape, outputs):
    return Branches(16, outputs)


def encoder(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, outputs))


def decoder(image_shape, latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 16), nn.Sigmoid(), nn.Unflatten(1, image_shape))
'''


def model_entry(tmp_path, encoder):
    """An entry of step ``train`` with a user's networks and new weights."""
    (tmp_path / "nets.py").write_text(NETS)
    codes = [read_source(f"nets.py:{one}", tmp_path) for one in (encoder, "decoder")]
    OWN_CODES.install(codes)
    OWN_CODES.register_builders()
    first, second = map(code_sha256, codes)
    spec = ModelSpec(
        architecture=Architecture(encoder=first, decoder=second),
        latent_dim=3,
        latent_activation="linear",
    )
    shape = (1, 4, 4)
    entry = Entry(
        task="train",
        key=encoder,
        name=f"train[{encoder}]",
        inputs={},
        code={},
        result={"spec": spec.model_dump(), "image_shape": list(shape)},
        files={},
        seconds=1,
        provenance={},
    )
    entry.folder.mkdir(parents=True)
    model = Autoencoder(spec, shape)
    save_file(model.state_dict(), entry.path(WEIGHTS))
    return entry, model.eval()


def test_an_own_network_is_packaged_with_its_source_and_computes_the_same(tmp_path):
    entry, model = model_entry(tmp_path, "encoder")
    folder = tmp_path / "packaged"
    folder.mkdir()
    result = package_model(folder, entry)
    assert result == {"models": ["encoder", "decoder", "autoencoder"], "not_packaged": {}}
    assert (folder / "source-nets.py.txt").read_text() == NETS
    images = torch.rand(5, 1, 4, 4)
    found = load_saved_folder("autoencoder", folder / "autoencoder").predict(images.numpy())
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(found), model(images), atol=1e-6)


def test_a_network_that_cannot_be_exported_is_named_and_the_rest_is_packaged(tmp_path):
    entry, _ = model_entry(tmp_path, "branches")
    folder = tmp_path / "packaged"
    folder.mkdir()
    result = package_model(folder, entry)
    assert result["models"] == ["decoder"]
    assert set(result["not_packaged"]) == {"encoder", "autoencoder"}
    assert all("\n" not in why and why for why in result["not_packaged"].values())
    assert sorted(one.name for one in folder.iterdir()) == ["decoder", "source-nets.py.txt"]
