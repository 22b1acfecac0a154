"""Where the tasks of a study are computed."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.specs import Value
from tasks.system.hardware import Device, default_width, has_gpu, usable_cores

GPU_STACK = 64  # so many small models fill a GPU


class RunnerConfig(Value):
    """Where tasks are computed. It changes results by rounding only, so it is in no cache key."""

    kind: Literal["local", "dask"] = Field(
        "local",
        description="`local`: processes on this machine; `dask`: workers of a Dask cluster.",
    )
    address: str | None = Field(
        None,
        pattern=r"^(tcp|tls|ws|wss)://([^@:/\s]+|\[[0-9a-f:]+\]):[1-9]\d{0,4}$",
        description="Address of the Dask scheduler, for example tcp://10.0.0.1:8786.",
    )
    width: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Tasks at once on this machine; null: one per core, at most 4.",
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads per task; null: cores / width, and 1 on Dask."
    )
    device: Device = Field(
        "auto", description="Where models are trained; `auto`: on the GPU if there is one."
    )
    stack: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="How many models that differ only in their seed are trained together; null: 64 "
        "on a GPU, 1 on a CPU. On Dask it is always 1.",
    )

    @model_validator(mode="after")
    def _address_if_dask(self) -> Self:
        if (self.kind == "dask") != (self.address is not None):
            raise ValueError(
                f"runner.kind: {self.kind!r} with runner.address: {self.address!r}; "
                "dask needs the address of a scheduler, local takes none"
            )
        return self

    @property
    def tasks_at_once(self) -> int:
        """The width; by default from the number of cores."""
        return self.width or default_width()

    @property
    def threads_per_task(self) -> int:
        """The threads; by default from the number of cores."""
        default = 1 if self.kind == "dask" else max(1, usable_cores() // self.tasks_at_once)
        return self.threads or default

    @property
    def stack_size(self) -> int:
        """The size of a stack of seeds; by default from the device."""
        if self.kind == "dask":
            return 1  # each model is trained by any free worker
        on_gpu = self.device == "cuda" or (self.device == "auto" and has_gpu())
        return self.stack or (GPU_STACK if on_gpu else 1)
