"""A study in ten lines: what would run, run it, look at numbers, take a model."""

from flows import Study

study = Study.load("digits", {"training.epochs": 5, "seeds": [0]})
print(study.plan(["latent_sweep"]))
result = study.run(["latent_sweep"])
print(result.models[["latent_dim", "seed", "final_test_loss"]])
print(result.verdicts[["claim", "outcome", "reason"]])
autoencoder = result.autoencoder(latent_dim=20, seed=0)
latents, labels, classes = autoencoder.latents("test")
print(autoencoder, "makes of", len(latents), "images vectors of", latents.shape[1], "numbers")
print("report:", result.report)
