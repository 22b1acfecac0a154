"""A saved network computes the same bits as torch's own loader makes it compute."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

from models.exported.operators import ARITHMETIC, ATEN, TENSOR_OPERATORS, TEXTS, find_operator
from models.exported.program import Program
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier
from models.specs import WRITTEN_SHAPE, ModelSpec

BATCHES = (1, 2, 3, 17)


class Function(nn.Module):
    """A network that is a function of itself and its input."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def spec(depth, activation="relu"):
    return ModelSpec.written(depth=depth, latent_dim=4, latent_activation=activation)


def autoencoder(depth, activation="relu"):
    return Autoencoder(spec(depth, activation), WRITTEN_SHAPE)


NETWORKS = {
    **{f"encoder {depth}": lambda depth=depth: autoencoder(depth).encoder for depth in (1, 2, 3)},
    **{f"decoder {depth}": lambda depth=depth: autoencoder(depth).decoder for depth in (1, 2, 3)},
    **{
        f"autoencoder {depth} {kind}": lambda depth=depth, kind=kind: autoencoder(depth, kind)
        for depth in (1, 2, 3)
        for kind in ("relu", "linear")
    },
    **{
        f"classifier {depth}": lambda depth=depth: Classifier(spec(depth), WRITTEN_SHAPE)
        for depth in (1, 2, 3)
    },
    "groups": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.Conv2d(4, 8, 3, groups=4),
        nn.GroupNorm(2, 8),
        nn.GELU(),
        nn.InstanceNorm2d(8, affine=True),
        nn.SiLU(),
        nn.ConvTranspose2d(8, 4, 3, stride=2, output_padding=1, groups=2),
        nn.LeakyReLU(inplace=True),
        nn.Dropout2d(),
        nn.PixelShuffle(2),
        nn.AdaptiveAvgPool2d(5),
    ),
    "layer norm": lambda: nn.Sequential(nn.LayerNorm([1, 28, 28]), nn.ELU(), nn.Softplus()),
    "skips": lambda: Function(
        lambda net, x: torch.cat([net.a(x), x], 1) + 1.5 * net.a(x),
        a=nn.Conv2d(1, 1, 3, padding=1),
    ),
    "sizes that depend on the batch": lambda: Function(
        lambda _, x: x.reshape(x.shape[0] * 28, 28).view(x.shape[0], 28, -1).mean(-1)
    ),
    "softmax": lambda: nn.Sequential(
        nn.Flatten(), nn.Unflatten(1, (7, 112)), nn.Softmax(-1), nn.LogSoftmax(1)
    ),
    "padding": lambda: nn.Sequential(
        nn.ReflectionPad2d(2),
        nn.ReplicationPad2d(1),
        nn.ZeroPad2d(1),
        nn.Conv2d(1, 2, 3, padding_mode="circular", padding=1),
    ),
    "resizing": lambda: nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Upsample(size=(20, 20), mode="bilinear"),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
    ),
    "constants": lambda: Function(
        lambda _, x: x[:, 0, ::2, [1, 2, 3]] * torch.tensor([0.5, 1.0, 2.0]) + x.new_ones(1, 14, 3)
    ),
    "chunks": lambda: Function(lambda _, x: F.glu(torch.stack(x.split(14, -1), 1).sum(2), -1)),
    "attention": lambda: Function(
        lambda net, x: net.a(x.squeeze(1)),
        a=nn.TransformerEncoderLayer(28, 4, 32, batch_first=True),
    ),
    "other types": lambda: Function(lambda _, x: (x.double() > 0.5).float() * x.half().float()),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 3, 3)),
}


def saved(network, folder, shape=(1, 28, 28)):
    """The path of an archive with this network in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    example = (torch.rand(2, *shape),)
    program = torch.export.export(network.eval(), example, dynamic_shapes=[{0: Dim.AUTO}])
    torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch's export
@pytest.mark.parametrize("name", NETWORKS)
def test_results_are_those_of_torch_to_the_bit(name, tmp_path):
    torch.manual_seed(0)
    shape = (4,) if name.startswith("decoder") else (1, 28, 28)
    path = saved(NETWORKS[name](), tmp_path, shape)
    ours, torchs = Program(path.read_bytes()), torch.export.load(path).module()
    with torch.no_grad():
        for n in BATCHES:
            batch = torch.rand(n, *shape)
            expected = torchs(batch.clone())
            found = ours(batch.clone())
            assert found.dtype == expected.dtype
            assert torch.equal(found, expected)


def test_memory_of_intermediate_results_is_freed(tmp_path):
    layers = [nn.Flatten(), *(nn.Linear(784, 784) for _ in range(4))]
    program = Program(saved(nn.Sequential(*layers), tmp_path).read_bytes())
    freed = [name for names in program._unused_after for name in names]
    assert {"linear", "linear_1", "linear_2"} <= set(freed)
    assert "linear_3" not in freed


@pytest.mark.parametrize("name", sorted(TENSOR_OPERATORS))
def test_an_operator_exists_takes_no_other_texts_and_draws_no_numbers(name):
    for argument in find_operator(ATEN + name)._schema.arguments:
        assert "Generator" not in str(argument.type)
        assert "str" not in str(argument.type) or argument.name in TEXTS


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.rand.default",
        "torch.ops.aten.lstm.input",  # torch reads beyond the weights that it is given
        "torch.ops.aten.gru.input",
        "torch.ops.aten.relu",
        "torch.ops.aten.relu.default.__call__",
        "aten.relu.default",
        "relu.default",
        "_operator.pow",
        "_operator.lshift",
        "_operator.attrgetter",
        "math.trunc",
        "",
    ],
)
def test_other_functions_are_not_found(target):
    assert target not in ARITHMETIC
    assert find_operator(target) is None
