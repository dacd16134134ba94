#!/usr/bin/env bash
# Builds the native addon of @tensorflow/tfjs-node, which the engine `tensorflow` runs on, in node_modules, against the
# TensorFlow of the wheel that the given Python has. npm ci alone does not: the package's own install step would download
# TensorFlow 2.9.1 from storage.googleapis.com. Needs make and a C++17 compiler, and Node's headers beside Node.
#   .venv/bin/pip install --no-deps tensorflow-cpu==2.21.0 && scripts/build-tfjs-node.sh .venv/bin/python
set -euo pipefail

python=$(realpath -s "${1:?usage: build-tfjs-node.sh <python that has tensorflow-cpu>}")
cd "$(dirname "$0")/.."
wheel=$("$python" -c 'import importlib.util as u; print(u.find_spec("tensorflow").submodule_search_locations[0])')

node=$(dirname "$(dirname "$(realpath "$(command -v node)")")")
[ -e "$node/include/node/node_api.h" ] || { echo "no Node headers in $node/include/node" >&2; exit 1; }
export npm_config_nodedir=$node
PATH="$PWD/node_modules/.bin:$PATH" # node-pre-gyp

cd node_modules/@tensorflow/tfjs-node
rm -rf deps lib build && mkdir -p deps/lib
ln -s "$wheel/include" deps/include
# By the names that its linker looks for, the one that its installer looks for, and those that the loader looks for.
for name in libtensorflow.so libtensorflow.so.2.9.1 libtensorflow_cc.so.2; do
  ln -s "$wheel/libtensorflow_cc.so.2" "deps/lib/$name"
done
for name in libtensorflow_framework.so libtensorflow_framework.so.2; do
  ln -s "$wheel/libtensorflow_framework.so.2" "deps/lib/$name"
done
# Its option for a TensorFlow of one's own: with it the installer compiles the addon instead of downloading one.
trap 'rm -f scripts/custom-binary.json' EXIT
echo '{ "tf-lib": "deps" }' >scripts/custom-binary.json
node scripts/install.js
ls lib/*/tfjs_binding.node
