"""The emulator with the stack in it: start, deploy, invoke, look, stop."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config

from local import background, package
from local.sources import KINDS, Source
from local.vendor import FakeVendor

REGION = "us-east-1"
STACK = "tidemark"
# The program that is the emulator, as `python -m` runs it.
EMULATOR = "local.emulator"
# The emulator's name for the root of its one account; it accepts any secret key for it.
ROOT_KEY = "test"
# What each fake vendor is asked at most: nobody waits for a slot.
REQUESTS_PER_SECOND = "200"
# Output of the stack that names the function, by the short name used in events and on the command line.
FUNCTIONS = {"watcher": "WatcherFunction"} | {
    f"{kind.name}-{role}": f"{kind.prefix}{role.capitalize()}Function"
    for kind in KINDS.values()
    for role in ("poller", "fetcher")
}
TABLES = {"checkpoints": "CheckpointsTable", "ledger": "LedgerTable", "records": "RecordsTable"}


class FunctionFailed(RuntimeError):
    """A function ended with an error; `payload` is what it answered."""

    def __init__(self, function: str, payload: Any) -> None:
        super().__init__(f"{function}: {payload}")
        self.payload = payload


class Cloud:
    """One emulator with a stack. Everything it writes is in `directory`; two in two directories are independent."""

    def __init__(self, directory: Path = background.ROOT / ".local", stack: str = STACK) -> None:
        self.directory = directory
        self.stack = stack
        self.port = 0
        self.pid = 0
        self._outputs: dict[str, str] = {}
        self._clients: dict[str, Any] = {}

    def beside(self, stack: str) -> Cloud:
        """Another stack on the same emulator, deployed from what `build` made here."""
        other = Cloud(self.directory, stack)
        other.port, other.pid = self.port, self.pid
        return other

    # ---- the emulator -------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the emulator listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls_file(self) -> Path:
        """Where the emulator notes the calls of roles; see `permissions`."""
        return self.directory / "calls.jsonl"

    def calls(self) -> list[dict[str, Any]]:
        """The calls of roles so far, none twice."""
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    def start(self) -> None:
        """Starts the emulator on a free loopback port, with every call checked against its caller's role."""
        self.directory.mkdir(parents=True, exist_ok=True)
        scratch = self.directory / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        self.calls_file.unlink(missing_ok=True)
        self.port = background.free_port()
        # An environment of its own: what is in it reaches the functions, and no real credential may.
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(background.ROOT),
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "AUTH": "true",
            "TIDEMARK_CALLS": str(self.calls_file),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }
        with (self.directory / "emulator.log").open("wb") as log:
            self.pid = subprocess.Popen(
                [sys.executable, "-m", EMULATOR],
                env=environment,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).pid
        background.wait_for("the emulator", self.answers, timeout=60)

    def answers(self) -> bool:
        """Whether the emulator is there."""
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{self.url}/_ministack/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Ends the emulator and every function that runs in it, and removes their scratch folder."""
        background.stop(self.pid, EMULATOR)
        shutil.rmtree(self.directory / "scratch", ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """What an AWS tool needs in its environment to work on this cloud, and to build for it."""
        foreign = {name for name in os.environ if name.startswith("AWS_")}
        return {
            **{name: value for name, value in background.build_environment().items() if name not in foreign},
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def tidemark(self, *arguments: str, **given: Any) -> subprocess.CompletedProcess[str]:
        """Runs the built command line on this cloud."""
        program = background.target_directory() / "debug" / "tidemark"
        given = {"stdin": subprocess.DEVNULL, "text": True, "check": False, **given}
        return subprocess.run([program, *arguments], env=self.environment(), **given)

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, as the root of its account."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=ROOT_KEY,
                aws_secret_access_key=ROOT_KEY,
                # An invocation is not idempotent for a test that counts; and a fetcher may take its whole timeout.
                config=Config(read_timeout=900, retries={"max_attempts": 0}, proxies={}, max_pool_connections=32),
            )
        return self._clients[service]

    # ---- the stack ----------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Builds the functions and lays them out for a deployment, as `sam build --config-env local` does."""
        template = background.ROOT / "infra" / "template.yaml"
        self._sam("build", template, "--build-dir", self.directory / "build", parameters={})
        package.pack(self.directory / "build")

    def deploy(self, vendors: Iterable[FakeVendor], **overrides: str) -> None:
        """Creates the secrets on the first call, and deploys what `build` made with the sources of these vendors on.

        The streams that are on are those that the fake vendors have. `overrides` are parameters of the template beyond
        `local/parameters.yaml`.
        """
        parameters = {}
        for vendor in vendors:
            parameters[f"{vendor.kind.prefix}BaseUrl"] = vendor.url
            parameters[f"{vendor.kind.prefix}Streams"] = ",".join(vendor.kind.streams)
            parameters[f"{vendor.kind.prefix}SecretArn"] = self._secret_arn(vendor)
            parameters[f"{vendor.kind.prefix}RequestsPerSecond"] = REQUESTS_PER_SECOND
        built = self.directory / "build" / "template.yaml"
        self._sam("deploy", built, "--stack-name", self.stack, parameters={**parameters, **overrides})
        self._outputs = {}

    def deploy_other(self, template: Path, stack: str, **parameters: str) -> None:
        """Deploys another template beside the stack, such as an example."""
        self._sam("deploy", template, "--stack-name", stack, parameters=parameters)

    def _sam(self, command: str, template: Path, *arguments: object, parameters: dict[str, str]) -> None:
        own = self.directory / "parameters.yaml"  # JSON is YAML, and SAM reads no .json here
        own.write_text(json.dumps({"Architecture": architecture(), **parameters}, indent=2) + "\n")
        log = self.directory / f"sam-{command}.log"
        with log.open("wb") as output:
            ended = subprocess.run(
                [
                    Path(sys.executable).with_name("sam"),
                    command,
                    "--config-file",
                    background.ROOT / "samconfig.toml",
                    "--config-env",
                    "local",
                    "--template-file",
                    template,
                    *arguments,
                    "--parameter-overrides",
                    f"file://{background.ROOT}/local/parameters.yaml",
                    f"file://{own}",
                ],
                cwd=background.ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if ended.returncode != 0:
            raise RuntimeError(f"sam {command} failed; the end of {log}:\n{log.read_text()[-3000:]}")

    def _secret_arn(self, vendor: FakeVendor) -> str:
        secrets = self.client("secretsmanager")
        name = f"{self.stack}/{vendor.kind.name}"
        try:
            return secrets.describe_secret(SecretId=name)["ARN"]
        except secrets.exceptions.ResourceNotFoundException:
            return secrets.create_secret(Name=name, SecretString=json.dumps(vendor.secret))["ARN"]

    def outputs(self) -> dict[str, str]:
        """The outputs of the stack, by name."""
        if not self._outputs:
            stack = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
            self._outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        return self._outputs

    # ---- working with it ----------------------------------------------------------------------------------------

    def invoke(self, function: str, event: Any) -> Any:
        """Invokes a function, such as `fieldly-poller`, and returns its answer. Raises `FunctionFailed`."""
        answer = self.client("lambda").invoke(
            FunctionName=self.outputs()[FUNCTIONS[function]], Payload=json.dumps(event).encode()
        )
        text = answer["Payload"].read().decode()
        payload = json.loads(text) if text else None
        if answer.get("FunctionError"):
            raise FunctionFailed(function, payload)
        return payload

    def variables(self, function: str) -> dict[str, str]:
        """The environment variables that the stack gives a function."""
        name = self.outputs()[FUNCTIONS[function]]
        return self.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def set_variables(self, function: str, **variables: str) -> None:
        """Gives a function other values of some of its environment variables, as a deployment would."""
        functions = self.client("lambda")
        name = self.outputs()[FUNCTIONS[function]]
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**self.variables(function), **variables}}
        )
        functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.2})

    def source(self, name: str) -> Source:
        """One of the sources, such as `fieldly`."""
        return Source(self, KINDS[name])

    def watch(self) -> Any:
        """Runs the watcher once."""
        return self.invoke("watcher", {})

    def scan(self, table: str) -> list[dict[str, Any]]:
        """Every item of `checkpoints`, `ledger` or `records`, as plain values."""
        return self._items("scan", TableName=self.outputs()[TABLES[table]])

    def partition(self, table: str, partition: str) -> list[dict[str, Any]]:
        """The items of one partition of `ledger` or `records`, in the order of their sort keys, as plain values."""
        return self._items(
            "query",
            TableName=self.outputs()[TABLES[table]],
            ConsistentRead=True,
            KeyConditionExpression="#partition = :partition",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={":partition": {"S": partition}},
        )

    def _items(self, call: str, **request: Any) -> list[dict[str, Any]]:
        read = TypeDeserializer().deserialize
        pages = self.client("dynamodb").get_paginator(call).paginate(**request)
        return [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]

    def alarm(self, name: str) -> str:
        """State of an alarm, such as `fieldmotion-stale`: `OK`, `ALARM` or `INSUFFICIENT_DATA`."""
        found = self.client("cloudwatch").describe_alarms(AlarmNames=[f"{self.stack}-{name}"])["MetricAlarms"]
        return found[0]["StateValue"]

    def log(self, function: str) -> list[str]:
        """The lines that a function wrote, oldest first."""
        pages = self.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=f"/aws/lambda/{self.stack}/{function}")
        return [event["message"].rstrip("\n") for page in found for event in page["events"]]

    def kill(self, function: str) -> int:
        """Kills the running processes of a function with SIGKILL, as a crash would; returns how many. Linux only."""
        name = self.outputs()[FUNCTIONS[function]]
        count = 0
        for pid in self._function_processes():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if f"AWS_LAMBDA_FUNCTION_NAME={name}".encode() in environment:
                    os.kill(pid, 9)
                    count += 1
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return count

    def _function_processes(self) -> Iterator[int]:
        shown = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
        for line in shown.splitlines():
            pid, parent = (int(part) for part in line.split())
            if parent == self.pid:
                yield pid


def architecture() -> str:
    """This machine's processor, in Lambda's words."""
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def build_command_line() -> None:
    """Builds `tidemark`, quietly."""
    command = ["cargo", "build", "--locked", "--quiet", "--package", "tidemark-cli"]
    subprocess.run(command, cwd=background.ROOT, env=background.build_environment(), check=True)


def build_programs(*packages: str) -> None:
    """Builds the functions, as `sam build` does, the fake vendors and these packages, printing what cargo prints."""
    for chosen in (["--bins"], *(["--package", name] for name in ("tidemark-fakes", *packages))):
        command = ["cargo", "build", "--locked", *chosen]
        ended = subprocess.run(command, cwd=background.ROOT, env=background.build_environment(), check=False)
        if ended.returncode != 0:
            raise RuntimeError("cargo build failed, see above")
