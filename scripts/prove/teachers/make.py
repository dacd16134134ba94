"""Makes the teachers of the proof, each by its own exporter in a process of its own.

make.py FOLDER [--ci] [--only PATTERN] [--list]   writes FOLDER/<case>/ (case.py) and FOLDER/cases.json
"""

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import time
import traceback
import warnings
from importlib import metadata
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # forks of a process that has computed with threads hang
os.environ["KERAS_BACKEND"] = "torch"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

# The files of cases, and whether CI runs some of them.
GROUPS = {
    "from_sklearn": True,
    "from_boosting": True,
    "from_torch": True,
    "from_keras": True,
    "from_transformers": False,
    "from_quantizer": True,
}
# Seconds that one exporter may take.
LIMIT = 240


def folder_of(exporter, title):
    return re.sub(r"[^a-z0-9]+", "-", f"{exporter} {title}".lower()).strip("-")


def work(make, folder, pipe):
    from case import Row

    log = open(folder / "exporter.log", "w")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        make(Row(folder))
        pipe.send(None)
    except BaseException as error:
        traceback.print_exc()
        log.flush()
        lines = str(error).replace(f"{folder}/", "").strip().splitlines() or [""]
        pipe.send(f"{type(error).__name__}: {lines[0][:160]}")


def load(group):
    try:
        return importlib.import_module(group), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ci", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    waiting, done, running, at = [], [], [], 0
    for group, in_ci in GROUPS.items():
        if options.ci and not in_ci:
            continue
        module, error = load(group)
        if module is None:
            done.append({"at": at, "exporter": group, "title": "all", "error": error})
            continue
        for title, make, ci in module.cases():
            at += 1
            if (ci or not options.ci) and re.search(options.only, f"{module.EXPORTER}: {title}", re.IGNORECASE):
                waiting.append((at, module.EXPORTER, title, make))
    if options.list:
        for _, exporter, title, _ in waiting:
            print(f"{exporter}: {title}")
        return
    context = multiprocessing.get_context("fork")
    total = len(waiting)
    if options.only and (options.folder / "cases.json").exists():
        made = {folder_of(exporter, title) for _, exporter, title, _ in waiting}
        before = json.loads((options.folder / "cases.json").read_text())["cases"]
        done += [entry for entry in before if "folder" in entry and entry["folder"] not in made]
        total += len(done)
    while waiting or running:
        while waiting and len(running) < 2:
            at, exporter, title, make = waiting.pop(0)
            folder = options.folder / folder_of(exporter, title)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mine, its = context.Pipe()
            process = context.Process(target=work, args=(make, folder, its))
            process.start()
            its.close()
            entry = {"at": at, "exporter": exporter, "title": title, "folder": folder.name}
            running.append((process, mine, time.monotonic(), entry))
        for job in list(running):
            process, pipe, began, entry = job
            process.join(0.05)
            late = time.monotonic() - began > LIMIT
            if process.is_alive() and not late:
                continue
            if late:
                process.kill()
            error = f"took more than {LIMIT} s" if late else f"its process ended with {process.exitcode}"
            with contextlib.suppress(EOFError):
                if pipe.poll():
                    error = pipe.recv()
            running.remove(job)
            done.append({**entry, "error": error})
            write_list(options.folder, done)
            print(f"\r{len(done)}/{total} {entry['title'][:50]:50}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def write_list(folder, done):
    packages = sorted({p for g in GROUPS for p in getattr(sys.modules.get(g), "PACKAGES", [])})
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    versions = {p: installed[p] for p in packages if p in installed}
    cases = sorted(done, key=lambda entry: entry["at"])
    (folder / "cases.json").write_text(json.dumps({"cases": cases, "versions": versions}, indent=1))


if __name__ == "__main__":
    main()
