#!/bin/sh
# Prints what builds take of disk and memory, as a table in Markdown (the README's):
#
#   test/bench/footprint.sh NAME=BUILD_DIRECTORY ...
#
# Each server has one worker; test/bench/footprint.py says how it is measured.
exec python3 "$(dirname "$0")/footprint.py" "$@"
