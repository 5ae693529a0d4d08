"""Settings: defaults, then `cxreco.toml`, then `CXRECO_*`; a key nobody knows is an error, wherever it stands."""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from cxreco.errors import BadSpec
from cxreco.journey import Arm

PREFIX = "CXRECO_"
FILE_NAME = "cxreco.toml"
# Where an arm begins must not move when a share is changed, so the small arms come first, in this order.
ARM_ORDER: tuple[Arm, ...] = (Arm.HOLDOUT, Arm.RANDOM, Arm.RULES, Arm.CHALLENGER, Arm.CHAMPION)
DEFAULT_ARMS: Mapping[Arm, float] = MappingProxyType(
    {Arm.CHAMPION: 85.0, Arm.CHALLENGER: 5.0, Arm.HOLDOUT: 5.0, Arm.RULES: 3.0, Arm.RANDOM: 2.0}
)


class Settings(BaseSettings):
    """What an installation chooses; frozen once read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(default=Path("workspace"), description="The workspace folder: log, populations, playbooks.")
    database_url: str = Field(
        default="", description="`postgresql://user@host/database`: the log is kept there; empty: in the workspace."
    )
    redis_url: str = Field(default="", description="`redis://host:6379/0`: states shared by processes; empty: none.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback unless you say otherwise.")
    port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    currency: str = Field(default="EUR", pattern="^[A-Z]{3}$")
    arms: Annotated[Mapping[Arm, float], NoDecode] = Field(
        default_factory=lambda: DEFAULT_ARMS,
        description="Shares of the standing experiments in percent: `champion=90,holdout=10`.",
    )
    experiment_epoch: str = Field(default="1", description="A new epoch deals the customers out anew.")
    salt: str = Field(default="", description="Secret behind the arms; empty: made once and kept in the workspace.")
    durability: Literal["full", "relaxed"] = Field(
        default="full", description="`full` waits for the disk; `relaxed` is for simulations."
    )
    decide_deadline_ms: float = Field(default=50.0, gt=0, description="After this a decision is answered safely.")
    max_in_flight: int = Field(default=1_000, ge=1, description="Calls being answered before others get 429.")
    max_pending: int = Field(default=20_000, ge=1, description="Rows waiting for the disk before callers get 429.")
    state_cache: int = Field(default=20_000, ge=1, description="Customers whose state is kept in memory.")
    margin_share: float = Field(default=0.3, gt=0, le=1, description="Margin of an item that does not state one.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def variables(self) -> dict[str, str]:
        """Return the settings as `CXRECO_*`, for processes of the same server."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        said |= {"home": self.home.resolve(), "arms": ",".join(f"{arm}={share!r}" for arm, share in self.arms.items())}
        return {PREFIX + name.upper(): str(value) for name, value in said.items()}

    def embedded(self) -> Self:
        """Return these settings with the log in the workspace folder, whatever they say: for copies and simulations."""
        return self.model_copy(update={"database_url": "", "redis_url": ""})

    @field_validator("database_url", "redis_url")
    @classmethod
    def _check_url(cls, value: str, info: ValidationInfo) -> str:
        schemes = {"database_url": ("postgresql", "postgres"), "redis_url": ("redis", "rediss", "unix")}
        known = schemes[info.field_name or ""]
        # What was given stays unsaid: it may hold a password.
        if value and not value.startswith(tuple(f"{scheme}://" for scheme in known)):
            raise ValueError(f"a URL that begins with {known[0]}:// is expected")
        return value

    @field_validator("arms", mode="before")
    @classmethod
    def _read_arms(cls, value: object) -> object:
        return arms_of(value) if isinstance(value, str) else value

    @field_validator("arms")
    @classmethod
    def _check_arms(cls, value: Mapping[Arm, float]) -> Mapping[Arm, float]:
        if any(not 0 <= share <= 100 for share in value.values()):
            raise ValueError("a share lies between 0 and 100 percent")
        if abs(sum(value.values()) - 100.0) > 1e-6:
            raise ValueError(f"the shares sum to {sum(value.values()):g}, not 100")
        return MappingProxyType({arm: float(value[arm]) for arm in ARM_ORDER if value.get(arm)})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options beat the environment, the environment beats the file."""
        given = init_settings().get("home")
        path = settings_file(Path(str(given)) if given else None)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)


def arms_of(text: str) -> dict[str, float]:
    """Read `champion=90,holdout=10`.

    Raises
    ------
    ValueError
        If a part is not `name=share`, or a name comes twice.
    """
    shares: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, share = part.partition("=")
        if not equals or not share.strip():
            raise ValueError(f"expected name=share, got {part!r}")
        if name.strip() in shares:
            raise ValueError(f"{name.strip()} comes twice")
        shares[name.strip()] = float(share)
    return shares


def settings_file(home: Path | None = None) -> Path:
    """Return where the settings file is: the working directory's, else the workspace's (whether it exists or not)."""
    here = Path.cwd() / FILE_NAME
    return here if here.is_file() else (home or Path(os.environ.get(PREFIX + "HOME", "workspace"))) / FILE_NAME


def load_settings(**options: object) -> Settings:
    """Read the settings that hold here: options beat the environment, the environment beats the file.

    Parameters
    ----------
    options
        Settings by name, such as command line options; None means not given.

    Raises
    ------
    BadSpec
        With one line that names the key and where it stands.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    variables = [name for name in os.environ if name.upper().startswith(PREFIX)]
    for name in variables:
        if name[len(PREFIX) :].lower() not in Settings.model_fields:
            raise BadSpec(_unknown(name[len(PREFIX) :].lower()), where=name)
    path = settings_file(Path(str(given["home"])) if "home" in given else None)
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        in_environment = [name for name in variables if name[len(PREFIX) :].lower() == key]
        where = key if key in given else next(iter(in_environment), f"{path}: {key}")
        said = _unknown(key) if first["type"] == "extra_forbidden" else str(first["msg"]).removeprefix("Value error, ")
        raise BadSpec(said, where=where) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSpec(f"not valid TOML: {error}", where=str(path)) from error


def _unknown(key: str) -> str:
    """Say that nobody knows a key, what was probably meant, and what there is."""
    known = sorted(Settings.model_fields)
    near = get_close_matches(key, known, n=1)
    meant = f", did you mean {near[0]}?" if near else ""
    return f"no such setting{meant} (known: {', '.join(known)})"
