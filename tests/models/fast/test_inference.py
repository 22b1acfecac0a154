import pytest
import torch

from models.fast.inference import StackedInference
from models.fast.step import FastTrainingStep
from models.networks.autoencoder import Autoencoder
from models.objectives.squared_error import SquaredError
from models.specs import ModelSpec
from models.training.step import fill
from tests.models.fast.examples import IMAGES, N, make_stack


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_outputs_equal_torchs_in_evaluation_mode(depth):
    modules, parameters = make_stack(Autoencoder, ModelSpec.written(depth=depth, latent_dim=4))
    step = FastTrainingStep(parameters, modules[0], N, SquaredError())
    fill(step.inputs, IMAGES)
    step()  # changes the running statistics
    images = IMAGES[0].unsqueeze(1)
    outputs = StackedInference(parameters, modules[0])(images)
    for index, module in enumerate(modules):
        module.load_state_dict(parameters.state_dict(index))
        assert torch.allclose(outputs[index], module.eval()(images), rtol=0, atol=1e-12)


def test_outputs_are_those_of_the_present_weights():
    modules, parameters = make_stack(Autoencoder, ModelSpec.written(depth=2, latent_dim=4), 2)
    inference = StackedInference(parameters, modules[0])
    images = IMAGES[0].unsqueeze(1)
    before = inference(images)
    parameters.load_state_dict(0, parameters.state_dict(1))
    after = inference(images)
    assert not torch.equal(before[0], before[1])
    assert torch.equal(after[0], before[1])
