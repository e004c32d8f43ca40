"""Nothing in the package can run what it reads: no pickles are loaded, no text is evaluated."""

import ast
from importlib import resources
from pathlib import Path

import pytest

PACKAGE = Path(str(resources.files("scmmlab")))
RUNNING = {
    *("eval", "exec", "compile", "__import__"),
    *("os.system", "os.popen", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"),
    *("yaml.full_load", "yaml.full_load_all", "torch.load", "pandas.read_pickle", "pd.read_pickle", "runpy.run_path"),
    *("numpy.fromregex", "numpy.lib.format.read_array", "np.lib.format.read_array", "scipy.io.loadmat"),
}
"""Calls that run what they are given, or may; MATLAB files are read by a reader of our own."""
PICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
WRITING = {"dump", "dumps"}
"""All that a pickle module is for here: fakes have the formats of the corpora that they imitate."""
LOADERS = {"yaml.UnsafeLoader", "yaml.FullLoader", "yaml.Loader"}


def dotted(node):
    """`a.b.c` of a name or an attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and dotted(node.value):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def dangers(text):
    """What in a module could run what it reads."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from sorted(names & (RUNNING | LOADERS))
            if (node.module or "").split(".")[0] in PICKLING:
                yield from sorted(alias.name for alias in node.names if alias.name not in WRITING)
        elif isinstance(node, ast.Import):
            yield from sorted(alias.name for alias in node.names if alias.name in PICKLING and alias.asname)
        elif isinstance(node, ast.Attribute):
            name = dotted(node)
            module, _, attribute = name.partition(".")
            if name in LOADERS or name in RUNNING or (module in PICKLING and attribute not in WRITING):
                yield name
        elif isinstance(node, ast.Call):
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            if isinstance(node.func, ast.Name) and node.func.id in RUNNING:
                yield node.func.id
            if dotted(node.func) in ("np.load", "numpy.load") and not is_false(options.get("allow_pickle")):
                yield "np.load without allow_pickle=False"
            if "shell" in options and not is_false(options["shell"]):
                yield "a shell"


CHECKED = {
    # a call on what `parts_of` has held to its form before, as it does before MNE makes the same call
    "corpora/lab/eeglab.py": {"scipy.io.loadmat"},
    # an unpickler whose table has no opcode that imports or calls anything (tests/corpora/test_corpora_unpickling.py)
    "corpora/array_unpickler.py": {
        *("pickle._Unpickler", "pickle._Unpickler.dispatch"),
        *(f"pickle.{opcode}" for opcode in ("BUILD", "DICT", "REDUCE", "SETITEM", "SETITEMS")),
    },
}


def is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def test_the_whole_package_is_looked_at():
    assert {"corpora/unpickling.py", "execution/ray/corpus_build.py", "config/yaml_text.py"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_can_run_what_it_reads(module):
    assert set(dangers((PACKAGE / module).read_text(encoding="utf-8"))) <= CHECKED.get(module, set())


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(file)",
        "import pickle\nclass Mine(pickle.Unpickler): pass",
        "import pickle as p\np.loads(data)",
        "from pickle import loads",
        "from joblib import load",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=wanted)",
        "eval(text)",
        "exec(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "class Mine(yaml.FullLoader): pass",
        "from yaml import unsafe_load",
        "torch.load(path)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_a_module_that_could_would_be_found(text):
    assert list(dangers(text))


@pytest.mark.parametrize(
    "text", ["np.load(path, allow_pickle=False)", "import pickle\npickle.dumps(x)", "safetensors.torch.load(data)"]
)
def test_what_runs_nothing_is_let_be(text):
    assert not list(dangers(text))
