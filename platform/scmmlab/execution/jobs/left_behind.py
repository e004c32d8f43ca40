"""What no job gets of a working directory, as patterns of a .gitignore. The repository's `.rayignore` has them too."""

ALWAYS = (
    # history, environments, what tools leave
    *(".git", ".hg", ".svn", ".venv", "venv", "__pycache__", "*.egg-info"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache", ".ipynb_checkpoints"),
    # secrets
    *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ecdsa*", "id_ed25519*"),
    *(".ssh", ".aws", ".config", ".ray", "auth_token", ".netrc", ".pgpass", ".pypirc", ".git-credentials"),
    *("*credentials*.json", "*service-account*.json", "kubeconfig*"),
)
"""Left behind from every folder."""

DATA = (
    *("/data", "/runs", "/mlruns", "/report-*", "/mlflow-artifacts"),
    *("*.db", "*.db-journal", "*.sqlite"),
    *("*.edf", "*.bdf", "*.gdf", "*.cnt", "*.vhdr", "*.vmrk", "*.eeg", "*.set", "*.fdt", "*.fif", "*.fif.gz"),
    *("*.mat", "*.h5", "*.hdf5", "*.npz", "*.npy", "*.pkl", "*.pickle", "*.dat"),
    *("*.zip", "*.tar", "*.tar.gz", "*.safetensors", "*.parquet"),
    "!platform/scmmlab/shipped/**",
)
"""Recordings, features and results: left behind from a folder that has no `.rayignore` of its own to say what is."""
