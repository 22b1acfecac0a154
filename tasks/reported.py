"""The numbers that the written study reported for MNIST; None where it reported none."""

TRAIN_LOSS = {1: 0.062, 5: 0.044, 10: 0.040, 20: 0.029, 50: 0.021, 100: 0.019}
TEST_LOSS = {1: 0.062, 5: 0.044, 10: 0.038, 20: 0.028, 50: 0.021, 100: 0.019}
TRANSFER_TRAIN_LOSS = {"head": 2.303, "head_and_encoder": 2.300}
TRANSFER_TEST_LOSS = {"head": 2.304, "head_and_encoder": 2.300}
SWEEP_DEPTH = 2  # its latent sizes were compared at two convolution layers
