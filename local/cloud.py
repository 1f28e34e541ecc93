"""The emulator with the stack in it: start, deploy, invoke, look, stop."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config

from local import background
from local.vendor import API_ID, API_KEY

REGION = "us-east-1"
STACK = "tidemark"
SECRET = "tidemark/fieldmotion"
STREAMS = ("customers", "jobs", "assets", "asset_types", "tasks", "stock_containers")
# The emulator's name for the root of its one account; it accepts any secret key for it.
ROOT_KEY = "test"
# Output of the stack that names the function, by the short name used in events and on the command line.
FUNCTIONS = {
    "poller": "FieldMotionPollerFunction",
    "fetcher": "FieldMotionFetcherFunction",
    "watcher": "WatcherFunction",
}
TABLES = {"checkpoints": "CheckpointsTable", "ledger": "LedgerTable", "records": "RecordsTable"}

Progress = Callable[[dict[str, int]], None]


class FunctionFailed(RuntimeError):
    """A function ended with an error; `payload` is what it answered."""

    def __init__(self, function: str, payload: Any) -> None:
        super().__init__(f"{function}: {payload}")
        self.payload = payload


class Cloud:
    """One emulator. Everything it writes lies in `directory`; two in two directories do not meet."""

    def __init__(self, directory: Path = background.ROOT / ".local") -> None:
        self.directory = directory
        self.port = 0
        self.pid = 0
        self._outputs: dict[str, str] = {}
        self._clients: dict[str, Any] = {}

    # ---- the emulator -------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the emulator listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the emulator on a free loopback port, with every call checked against its caller's role."""
        self.directory.mkdir(parents=True, exist_ok=True)
        scratch = self.directory / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        self.port = background.free_port()
        # An environment of its own: what is in it reaches the functions, and no real credential may.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "AUTH": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }
        with (self.directory / "emulator.log").open("wb") as log:
            self.pid = subprocess.Popen(
                [Path(sys.executable).with_name("ministack")],
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
        background.stop(self.pid, "ministack")
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

    def deploy(self, vendor_url: str, **overrides: str) -> None:
        """Creates the secret on the first call, and deploys what `build` made.

        `overrides` are parameters of the template beyond `local/parameters.yaml`.
        """
        address = {"FieldMotionBaseUrl": vendor_url, "FieldMotionSecretArn": self._secret_arn()}
        self._sam("deploy", self.directory / "build" / "template.yaml", parameters={**address, **overrides})
        self._outputs = {}

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

    def _secret_arn(self) -> str:
        secrets = self.client("secretsmanager")
        try:
            return secrets.describe_secret(SecretId=SECRET)["ARN"]
        except secrets.exceptions.ResourceNotFoundException:
            value = json.dumps({"api_id": API_ID, "api_key": API_KEY})
            return secrets.create_secret(Name=SECRET, SecretString=value)["ARN"]

    def rotate_secret(self, api_id: str, api_key: str) -> None:
        """Puts another key into the secret."""
        value = json.dumps({"api_id": api_id, "api_key": api_key})
        self.client("secretsmanager").put_secret_value(SecretId=SECRET, SecretString=value)

    def outputs(self) -> dict[str, str]:
        """The outputs of the stack, by name."""
        if not self._outputs:
            stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
            self._outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        return self._outputs

    # ---- working with it ----------------------------------------------------------------------------------------

    def invoke(self, function: str, event: Any) -> Any:
        """Invokes `poller`, `fetcher` or `watcher` and returns its answer. Raises `FunctionFailed`."""
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

    def poll(self, stream: str) -> Any:
        """Runs one tick of a stream."""
        return self.invoke("poller", {"stream": stream})

    def poll_all(self, streams: Iterable[str] = STREAMS) -> None:
        """Runs one tick of every stream, side by side as their schedules do. Raises the first failure."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.poll, streams))

    def settle(self, truth: dict[str, set[str]], timeout: float = 120, progress: Progress | None = None) -> None:
        """Ticks the streams of `truth` until each stores exactly these ids and the runs that stored them are over.

        A tick that ends one run may begin the next, so a run in progress alone says nothing. `progress` is told the
        number of stored records per stream after every round. Raises `TimeoutError`.
        """
        runs_when_stored: dict[str, str | None] | None = None

        def settled() -> bool:
            nonlocal runs_when_stored
            self.poll_all(truth)
            stored: dict[str, set[str]] = {stream: set() for stream in truth}
            for each in self.scan("records"):
                if each["stream"] in stored and not each.get("deleted"):
                    stored[each["stream"]].add(each["id"])
            if progress is not None:
                progress({stream: len(ids) for stream, ids in stored.items()})
            if stored != truth:
                return False
            found = {each["stream_key"]: each.get("run") or {} for each in self.scan("checkpoints")}
            runs = {stream: found[f"fieldmotion#{stream}"].get("run_id") for stream in truth}
            if runs_when_stored is None:
                runs_when_stored = runs
            return all(runs[stream] is None or runs[stream] != runs_when_stored[stream] for stream in truth)

        background.wait_for(f"{', '.join(truth)} to be stored and committed", settled, timeout, pause=0.5)

    def watch(self) -> Any:
        """Runs the watcher once."""
        return self.invoke("watcher", {})

    def scan(self, table: str) -> list[dict[str, Any]]:
        """Every item of `checkpoints`, `ledger` or `records`, as plain values."""
        read = TypeDeserializer().deserialize
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs()[TABLES[table]])
        return [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]

    def records(self, stream: str) -> dict[str, dict[str, Any]]:
        """The stored records of a FieldMotion stream, by id; tombstones included."""
        return {each["id"]: each for each in self.scan("records") if each["stream"] == stream}

    def checkpoint(self, stream: str) -> dict[str, Any] | None:
        """The checkpoint of a FieldMotion stream, once it was polled."""
        key = f"fieldmotion#{stream}"
        return next((each for each in self.scan("checkpoints") if each["stream_key"] == key), None)

    def queue_depth(self, dead_letters: bool = False) -> int:
        """Messages in the change queue or the dead-letter queue, those in flight included."""
        url = self.outputs()["FieldMotionDeadLetterQueueUrl" if dead_letters else "FieldMotionQueueUrl"]
        counts = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(counts[name]) for name in names)

    def alarm(self, name: str) -> str:
        """State of an alarm, such as `fieldmotion-stale`: `OK`, `ALARM` or `INSUFFICIENT_DATA`."""
        found = self.client("cloudwatch").describe_alarms(AlarmNames=[f"{STACK}-{name}"])["MetricAlarms"]
        return found[0]["StateValue"]

    def log(self, function: str) -> list[str]:
        """The lines that a function wrote, oldest first."""
        name = function if function == "watcher" else f"fieldmotion-{function}"
        pages = self.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=f"/aws/lambda/{STACK}/{name}")
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


def build_programs() -> None:
    """Builds the functions and the fake vendor in one go, printing what cargo prints."""
    command = ["cargo", "build", "--locked", "--bins"]
    ended = subprocess.run(command, cwd=background.ROOT, env=background.build_environment(), check=False)
    if ended.returncode != 0:
        raise RuntimeError("cargo build failed, see above")
